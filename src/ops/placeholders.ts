/** What to bind where a kernel's binding is switched off: layouts are explicit, so every binding needs a buffer. */

import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../gpu/tensor.ts";

interface Placeholders {
  /** For read-only bindings. */
  readonly read: Tensor;
  /** For writable ones: WebGPU forbids a buffer that is both in one dispatch. */
  readonly write: Tensor;
}

/** Of each device: a caller's own is opened again and again. */
const BUFFERS = new WeakMap<GPUDevice, Readonly<Record<keyof Placeholders, GPUBuffer>>>();

/** Two tensors of 16 bytes that live as long as the device. */
export function placeholders(gpu: Gpu): Placeholders {
  let buffers = BUFFERS.get(gpu.device);
  if (buffers === undefined) {
    buffers = { read: createBuffer(gpu.device), write: createBuffer(gpu.device) };
    BUFFERS.set(gpu.device, buffers);
  }
  return { read: tensorOver(gpu, buffers.read), write: tensorOver(gpu, buffers.write) };
}

/**
 * What to bind where a kernel writes a tensor by vec4s if its rows are whole ones, and else by elements: to the binding of
 * vec4s, and to that of elements.
 */
export function byVec4sOrElements(
  gpu: Gpu,
  tensor: Tensor,
  byVec4s: boolean,
): readonly [vec4s: Tensor, elements: Tensor] {
  const { write } = placeholders(gpu);
  return byVec4s ? [tensor, write] : [write, tensor];
}

function createBuffer(device: GPUDevice): GPUBuffer {
  return device.createBuffer({ label: "placeholder", size: 16, usage: GPUBufferUsage.STORAGE });
}

function tensorOver(gpu: Gpu, buffer: GPUBuffer): Tensor {
  return new Tensor(gpu, buffer, [4], { offset: 0, sizeBytes: 16, owner: false });
}
