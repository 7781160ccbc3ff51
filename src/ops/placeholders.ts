/** What to bind where a kernel's binding is switched off: layouts are explicit, so every binding needs a buffer. */

import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../gpu/tensor.ts";

interface Placeholders {
  /** For read-only bindings. */
  readonly read: Tensor;
  /** For writable ones: WebGPU forbids a buffer that is both in one dispatch. */
  readonly write: Tensor;
}

const PLACEHOLDERS = new WeakMap<Gpu, Placeholders>();

/** Two tensors of 16 bytes that live as long as the device. */
export function placeholders(gpu: Gpu): Placeholders {
  let own = PLACEHOLDERS.get(gpu);
  if (own === undefined) {
    own = { read: placeholder(gpu), write: placeholder(gpu) };
    PLACEHOLDERS.set(gpu, own);
  }
  return own;
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

function placeholder(gpu: Gpu): Tensor {
  const buffer = gpu.device.createBuffer({
    label: "placeholder",
    size: 16,
    usage: GPUBufferUsage.STORAGE,
  });
  return new Tensor(gpu, buffer, [4], { offset: 0, sizeBytes: 16, owner: false });
}
