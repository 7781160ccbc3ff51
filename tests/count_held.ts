/** What a device and the CPU's threads are held for, seen from outside: by the calls that make and end them. */

import process from "node:process";

/** Threads of the CPU that run now, of all that were started since this file was loaded. */
let threads = 0;

const workers = process.getBuiltinModule("worker_threads");
const { Worker: NodeWorker } = workers;

workers.Worker = class extends NodeWorker {
  constructor(...given: ConstructorParameters<typeof NodeWorker>) {
    super(...given);
    threads++;
  }

  override terminate(): Promise<number> {
    threads--;
    return super.terminate();
  }
};

/** What is held now. */
export interface Held {
  /** Buffers of the device. */
  readonly buffers: number;
  readonly threads: number;
}

/** Counts a device's buffers from now on, and the CPU's threads. */
export function countHeld(device: GPUDevice | undefined): () => Held {
  const buffers = new Set<GPUBuffer>();
  if (device !== undefined) {
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        buffers.delete(buffer);
        destroy();
      };
      buffers.add(buffer);
      return buffer;
    };
  }
  return () => ({ buffers: buffers.size, threads });
}
