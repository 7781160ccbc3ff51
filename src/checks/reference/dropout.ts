import { at } from "./at.ts";
import { threefry2x32 } from "./threefry.ts";

/**
 * Dropout (Srivastava et al. 2014), scaled while training: y[i] = x[i] / (1 - probability) where
 * the first of threefry's words of (i, draw) is at least probability 2^32, else 0. Backward is the
 * same on the gradient.
 */
export function dropout(
  x: ArrayLike<number>,
  key: readonly [number, number],
  { probability, draw }: { probability: number; draw: number },
): Float64Array {
  return Float64Array.from({ length: x.length }, (_, i) => {
    const [random] = threefry2x32(key, [i, draw]);
    return random >= Math.floor(probability * 2 ** 32) ? at(x, i) / (1 - probability) : 0;
  });
}
