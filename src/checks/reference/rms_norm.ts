import { at } from "./at.ts";

/**
 * y[i, :] = x[i, :] weight / sqrt(mean(x[i, :]^2) + eps).
 *
 * @param x (rows, d_model)
 * @param weight (d_model)
 * @returns (rows, d_model)
 */
export function rmsNormFwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  { rows, d_model, eps }: { rows: number; d_model: number; eps: number },
): Float64Array {
  const y = new Float64Array(rows * d_model);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < d_model; j++) sum += at(x, i * d_model + j) ** 2;
    const rstd = 1 / Math.sqrt(sum / d_model + eps);
    for (let j = 0; j < d_model; j++) {
      y[i * d_model + j] = at(x, i * d_model + j) * rstd * at(weight, j);
    }
  }
  return y;
}
