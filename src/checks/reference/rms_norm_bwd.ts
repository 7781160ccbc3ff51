import { at } from "./at.ts";

/**
 * Backward of rmsNormFwd(). With rstd = 1 / sqrt(mean(x^2) + eps), for each row:
 *
 *     grad_x[j]       = rstd (grad_y[j] weight[j] - x[j] rstd^2 mean(grad_y weight x))
 *     grad_weight[j] += grad_y[j] x[j] rstd
 *
 * @param x (rows, d_model)
 * @param weight (d_model)
 * @param grad_y (rows, d_model)
 * @returns grad_x (rows, d_model), grad_weight (d_model)
 */
export function rmsNormBwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  grad_y: ArrayLike<number>,
  { rows, d_model, eps }: { rows: number; d_model: number; eps: number },
): { grad_x: Float64Array; grad_weight: Float64Array } {
  const grad_x = new Float64Array(rows * d_model);
  const grad_weight = new Float64Array(d_model);
  for (let i = 0; i < rows; i++) {
    let [squares, products] = [0, 0];
    for (let j = 0; j < d_model; j++) {
      squares += at(x, i * d_model + j) ** 2;
      products += at(grad_y, i * d_model + j) * at(weight, j) * at(x, i * d_model + j);
    }
    const rstd = 1 / Math.sqrt(squares / d_model + eps);
    const pull = rstd ** 2 * products / d_model;
    for (let j = 0; j < d_model; j++) {
      const k = i * d_model + j;
      grad_x[k] = rstd * (at(grad_y, k) * at(weight, j) - at(x, k) * pull);
      grad_weight[j] = at(grad_weight, j) + at(grad_y, k) * at(x, k) * rstd;
    }
  }
  return { grad_x, grad_weight };
}
