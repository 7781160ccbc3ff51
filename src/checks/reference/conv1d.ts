import { silu } from "./activations.ts";
import { at } from "./at.ts";

/** Sizes of the depth-wise convolution. */
export interface Conv1dShape {
  batch: number;
  seqlen: number;
  d_inner: number;
  d_conv: number;
}

/**
 * Causal depth-wise convolution, then SiLU:
 * y[b, t, d] = silu(bias[d] + sum_k weight[d, k] x[b, t - (d_conv - 1) + k, d]).
 *
 * The state is the official one: the last d_conv inputs of each channel, the newest at index
 * d_conv - 1. So the window at t is the state after t, and the oldest column of the state passed in
 * is never read.
 *
 * @param x (batch, seqlen, d_inner)
 * @param weight (d_inner, d_conv)
 * @param bias (d_inner), or undefined
 * @param conv_state (batch, d_inner, d_conv), zeros before the first token; left as it is
 */
export function conv1dFwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  conv_state: ArrayLike<number>,
  { batch, seqlen, d_inner, d_conv }: Conv1dShape,
): { y: Float64Array; conv_state: Float64Array } {
  const y = new Float64Array(batch * seqlen * d_inner);
  const state = Float64Array.from(
    { length: batch * d_inner * d_conv },
    (_, i) => at(conv_state, i),
  );
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < d_inner; d++) {
      const window = state.subarray((b * d_inner + d) * d_conv, (b * d_inner + d + 1) * d_conv);
      for (let t = 0; t < seqlen; t++) {
        const position = (b * seqlen + t) * d_inner + d;
        window.copyWithin(0, 1);
        window[d_conv - 1] = at(x, position);
        let sum = bias === undefined ? 0 : at(bias, d);
        for (let k = 0; k < d_conv; k++) sum += at(weight, d * d_conv + k) * at(window, k);
        y[position] = silu(sum);
      }
    }
  }
  return { y, conv_state: state };
}
