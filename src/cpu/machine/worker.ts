/** Workers: threads that spend their lives inside the module, see kernels/cpu/assembly/threads.ts. */

import { nodeThreads, nodeWorkerUrl, webWorkerUrl } from "../../runtime/worker_source.ts";

/** What a worker does. */
const WORK = `function work({ module, memory, index }) {
  const env = { memory, now: () => performance.now() };
  new WebAssembly.Instance(module, { env }).exports.work(index);
}`;

const WEB_SOURCE = `${WORK}
onmessage = ({ data }) => {
  work(data);
  close();
};`;

const NODE_SOURCE = `${WORK}
work(process.getBuiltinModule("worker_threads").workerData);`;

/** What a worker is given. */
interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Which thread it is, from 1 on. */
  readonly index: number;
}

/** A worker that runs. */
export interface CpuWorker {
  /** Ends it, whatever it does. */
  terminate(): void;
}

/** Starts a worker. It helps as soon as it is there: nobody waits for it. */
export type StartWorker = (data: WorkerData) => CpuWorker;

/** Whether there can be workers: Node has none of the web's. */
export function hasWorkers(): boolean {
  return typeof Worker === "function" || nodeThreads() !== undefined;
}

/**
 * How workers start here.
 *
 * The web's keep a process alive until they are terminated. Deno has those of Node as well, which can be told not to:
 * a program that never disposes of its model ends all the same.
 */
export function workerStarter(): StartWorker {
  const threads = nodeThreads();
  if (threads === undefined) return startWebWorker;
  return (data) => {
    const worker = new threads.Worker(nodeWorkerUrl(NODE_SOURCE), { workerData: data });
    worker.unref();
    return worker;
  };
}

/** Where {@linkcode WEB_SOURCE} is; made when first needed, and the same for all workers. */
let webSourceUrl: string | undefined;

/** Starts a worker of the web. */
export function startWebWorker(data: WorkerData): CpuWorker {
  webSourceUrl ??= webWorkerUrl(WEB_SOURCE);
  const worker = new Worker(webSourceUrl, {
    type: "module",
    name: `cpu thread ${data.index}`,
  });
  worker.postMessage(data);
  return worker;
}

/** Whether this thread may sleep until another wakes it: a page's main thread may not. */
export function mayBlock(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}
