/** Gradients by differences, in float64: for formulas whose own backward would only repeat the kernel's. */

import { at } from "./at.ts";

/** The gradient of `loss` with respect to `values`, by central differences of their size. */
export function slopes(
  values: ArrayLike<number>,
  loss: (values: Float64Array) => number,
  step = 1e-5,
): Float64Array {
  const moved = Float64Array.from(values);
  return Float64Array.from(moved, (value, i) => {
    const h = step * Math.max(Math.abs(value), 1e-2);
    moved[i] = value + h;
    const above = loss(moved);
    moved[i] = value - h;
    const below = loss(moved);
    moved[i] = value;
    return (above - below) / (2 * h);
  });
}

/** The sum of products. */
export function weighted(values: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += at(values, i) * at(weights, i);
  return sum;
}
