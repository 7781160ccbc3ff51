/** Several tensors of one buffer as one binding of a kernel: WebGPU promises it only eight. */

import type { Gpu } from "./device.ts";
import { Tensor } from "./tensor.ts";

/**
 * One tensor over several that lie in one buffer, from the start of the first to the end of the last, and the elements of
 * it where each of them begins: 0 for those that are absent.
 *
 * @param parts In the order in which they lie there, each with the elements that the kernel needs of it.
 * @param use The kernel, and where it is used: for errors.
 * @throws {RangeError} If they lie otherwise, or one of them is too short.
 */
export function spanOf<N extends string>(
  gpu: Gpu,
  use: string,
  parts: Readonly<Record<N, readonly [tensor: Tensor | undefined, needed: number]>>,
): { readonly tensor: Tensor; readonly starts: Readonly<Record<N, number>> } {
  let all: Tensor | undefined;
  const starts: [string, number][] = [];
  for (
    const [name, [tensor, needed]] of Object.entries<readonly [Tensor | undefined, number]>(parts)
  ) {
    if (tensor === undefined) {
      starts.push([name, 0]);
      continue;
    }
    const { buffer, sizeBytes } = tensor;
    // What is not a number is refused, too.
    if (!(4 * needed <= sizeBytes)) {
      throw new RangeError(
        `Cannot bind "${name}" of ${use}: the tensor has ${sizeBytes} bytes, and ${
          4 * needed
        } are needed`,
      );
    }
    const offset = tensor.offset - (all ?? tensor).offset;
    if (all !== undefined && (buffer !== all.buffer || offset < all.sizeBytes)) {
      throw new RangeError(
        `Cannot bind "${name}" of ${use}: it must lie in one buffer with what shares its binding, and behind it`,
      );
    }
    starts.push([name, offset / 4]);
    all = new Tensor(gpu, buffer, [(offset + sizeBytes) / 4], {
      offset: tensor.offset - offset,
      sizeBytes: offset + sizeBytes,
      owner: false,
    });
  }
  if (all === undefined) throw new RangeError(`Cannot bind ${use}: there is no tensor`);
  return { tensor: all, starts: Object.fromEntries(starts) as Record<N, number> };
}
