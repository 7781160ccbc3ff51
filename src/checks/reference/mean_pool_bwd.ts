import { at } from "./at.ts";

/**
 * Backward of meanPool(): grad_x[b, t, :] = the sum over later steps s >= t of
 * grad_y[b, s, :] / (count + s + 1). A loss of the last step alone has zeros in grad_y before it.
 *
 * @param grad_y (batch, seqlen, d_model)
 * @param count The number of steps that the initial state has seen
 * @param grad_final_sum (batch, d_model): of the sum after the last step; zeros when absent
 * @returns grad_x (batch, seqlen, d_model) and grad_sum (batch, d_model), of the initial sum
 */
export function meanPoolBwd(
  grad_y: ArrayLike<number>,
  { batch, seqlen, d_model }: { batch: number; seqlen: number; d_model: number },
  count = 0,
  grad_final_sum?: ArrayLike<number>,
): { grad_x: Float64Array; grad_sum: Float64Array } {
  const grad_x = new Float64Array(batch * seqlen * d_model);
  const grad_sum = new Float64Array(batch * d_model);
  for (let b = 0; b < batch; b++) {
    for (let j = 0; j < d_model; j++) {
      let grad = grad_final_sum === undefined ? 0 : at(grad_final_sum, b * d_model + j);
      for (let t = seqlen - 1; t >= 0; t--) {
        const k = (b * seqlen + t) * d_model + j;
        grad += at(grad_y, k) / (count + t + 1);
        grad_x[k] = grad;
      }
      grad_sum[b * d_model + j] = grad;
    }
  }
  return { grad_x, grad_sum };
}
