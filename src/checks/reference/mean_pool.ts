import { at } from "./at.ts";

/**
 * Sum of the steps so far and their number: what a running mean carries from one step to the next.
 */
export interface MeanPoolState {
  /** (batch, d_model) */
  sum: Float64Array;
  count: number;
}

/**
 * Running mean over time: y[b, t, :] = mean of x[b, 0..t, :], and of the steps that `state` has
 * seen.
 *
 * @param x (batch, seqlen, d_model)
 * @returns y (batch, seqlen, d_model) and the state after the last step; the one given is left as
 * it is
 */
export function meanPool(
  x: ArrayLike<number>,
  { batch, seqlen, d_model }: { batch: number; seqlen: number; d_model: number },
  state: MeanPoolState = { sum: new Float64Array(batch * d_model), count: 0 },
): { y: Float64Array; state: MeanPoolState } {
  const y = new Float64Array(batch * seqlen * d_model);
  const sum = state.sum.slice();
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      for (let j = 0; j < d_model; j++) {
        const total = at(sum, b * d_model + j) + at(x, (b * seqlen + t) * d_model + j);
        sum[b * d_model + j] = total;
        y[(b * seqlen + t) * d_model + j] = total / (state.count + t + 1);
      }
    }
  }
  return { y, state: { sum, count: state.count + seqlen } };
}
