/** What to bind where a kernel's binding is switched off: layouts are explicit, so every binding needs a buffer. */

import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../gpu/tensor.ts";

interface UnusedTensors {
  /** For read-only bindings. */
  readonly read: Tensor;
  /** For writable ones: WebGPU forbids a buffer that is both in one dispatch. */
  readonly write: Tensor;
}

const UNUSED = new WeakMap<Gpu, UnusedTensors>();

/** Two tensors of 16 bytes that live as long as the device. */
export function unusedTensors(gpu: Gpu): UnusedTensors {
  let unused = UNUSED.get(gpu);
  if (unused === undefined) {
    unused = { read: unusedTensor(gpu), write: unusedTensor(gpu) };
    UNUSED.set(gpu, unused);
  }
  return unused;
}

/**
 * What to bind where a kernel writes a tensor by vec4s if its rows are whole ones, and else by elements: to the binding of
 * vec4s, and to that of elements.
 */
export function vec4sOrElements(
  gpu: Gpu,
  tensor: Tensor,
  byVec4s: boolean,
): readonly [vec4s: Tensor, elements: Tensor] {
  const unused = unusedTensors(gpu).write;
  return byVec4s ? [tensor, unused] : [unused, tensor];
}

function unusedTensor(gpu: Gpu): Tensor {
  const buffer = gpu.device.createBuffer({
    label: "unused",
    size: 16,
    usage: GPUBufferUsage.STORAGE,
  });
  return new Tensor(gpu, buffer, [4], { offset: 0, sizeBytes: 16, owner: false });
}
