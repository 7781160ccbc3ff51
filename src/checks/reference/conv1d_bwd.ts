import { siluDerivative } from "./activations_bwd.ts";
import { at } from "./at.ts";
import type { Conv1dShape } from "./conv1d.ts";

/** Gradients of everything that the convolution reads, each of its input's shape. */
export interface Conv1dGradients {
  /** (batch, seqlen, d_inner) */
  grad_x: Float64Array;
  /** (d_inner, d_conv) */
  grad_weight: Float64Array;
  /** (d_inner) */
  grad_bias: Float64Array;
  /** (batch, d_inner, d_conv): of the initial state, whose oldest column is never read: zeros. */
  grad_conv_state: Float64Array;
}

/**
 * Backward of conv1dFwd(), the SiLU included. Put before x, the initial state is one line with it:
 * the window at t starts at t + 1 of that line, and the final state is its last d_conv inputs.
 *
 * @param x (batch, seqlen, d_inner)
 * @param weight (d_inner, d_conv)
 * @param bias (d_inner), or undefined; grad_bias is there in either case
 * @param conv_state (batch, d_inner, d_conv): the initial state
 * @param grad_y (batch, seqlen, d_inner): of the output after SiLU
 * @param grad_final_state (batch, d_inner, d_conv): of the state after the last step; zeros when
 * absent
 */
export function conv1dBwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  conv_state: ArrayLike<number>,
  grad_y: ArrayLike<number>,
  { batch, seqlen, d_inner, d_conv }: Conv1dShape,
  grad_final_state?: ArrayLike<number>,
): Conv1dGradients {
  const grad_x = new Float64Array(batch * seqlen * d_inner);
  const grad_weight = new Float64Array(d_inner * d_conv);
  const grad_bias = new Float64Array(d_inner);
  const grad_conv_state = new Float64Array(batch * d_inner * d_conv);
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < d_inner; d++) {
      const start = (b * d_inner + d) * d_conv;
      const position = (t: number) => (b * seqlen + t) * d_inner + d;
      const line = Float64Array.from(
        { length: d_conv + seqlen },
        (_, i) => i < d_conv ? at(conv_state, start + i) : at(x, position(i - d_conv)),
      );
      const grad_line = new Float64Array(d_conv + seqlen);
      if (grad_final_state !== undefined) {
        for (let k = 0; k < d_conv; k++) grad_line[seqlen + k] = at(grad_final_state, start + k);
      }
      for (let t = 0; t < seqlen; t++) {
        let sum = bias === undefined ? 0 : at(bias, d);
        for (let k = 0; k < d_conv; k++) sum += at(weight, d * d_conv + k) * at(line, t + 1 + k);
        const grad_sum = at(grad_y, position(t)) * siluDerivative(sum);
        grad_bias[d] = at(grad_bias, d) + grad_sum;
        for (let k = 0; k < d_conv; k++) {
          const w = d * d_conv + k;
          grad_weight[w] = at(grad_weight, w) + grad_sum * at(line, t + 1 + k);
          grad_line[t + 1 + k] = at(grad_line, t + 1 + k) + grad_sum * at(weight, w);
        }
      }
      for (let k = 0; k < d_conv; k++) grad_conv_state[start + k] = at(grad_line, k);
      for (let t = 0; t < seqlen; t++) grad_x[position(t)] = at(grad_line, d_conv + t);
    }
  }
  return { grad_x, grad_weight, grad_bias, grad_conv_state };
}
