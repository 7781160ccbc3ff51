import { silu } from "./activations.ts";
import { at } from "./at.ts";

/**
 * y[i, j] = x[i, j] silu(x[i, width + j]).
 *
 * @param x (rows, 2 width)
 * @returns (rows, width)
 */
export function swigluFwd(
  x: ArrayLike<number>,
  { rows, width }: { rows: number; width: number },
): Float64Array {
  return Float64Array.from({ length: rows * width }, (_, i) => {
    const first = Math.floor(i / width) * 2 * width + i % width;
    return at(x, first) * silu(at(x, first + width));
  });
}
