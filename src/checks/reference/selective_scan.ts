import { silu, softplus } from "./activations.ts";
import { at } from "./at.ts";

/** What the scan reads. */
export interface SelectiveScanInputs {
  /** (batch, seqlen, d_inner): the convolution's output, after SiLU. */
  u: ArrayLike<number>;
  /** (batch, seqlen, d_inner): before softplus, the bias of dt_proj included. */
  dt: ArrayLike<number>;
  /** (d_inner, d_state): A = -exp(A_log). */
  A_log: ArrayLike<number>;
  /** (batch, seqlen, d_state) */
  B: ArrayLike<number>;
  /** (batch, seqlen, d_state) */
  C: ArrayLike<number>;
  /** (d_inner) */
  D: ArrayLike<number>;
  /** (batch, seqlen, d_inner): the gate, before SiLU. */
  z: ArrayLike<number>;
  /** (batch, d_inner, d_state), zeros before the first token; left as it is. */
  ssm_state: ArrayLike<number>;
}

/** Sizes of the scan. */
export interface SelectiveScanShape {
  batch: number;
  seqlen: number;
  d_inner: number;
  d_state: number;
}

/**
 * The recurrence of Mamba-1 (Gu & Dao 2023, Algorithm 2) with its gate, for each b, t, d:
 *
 *     dt' = softplus(dt)
 *     h[n] = exp(dt' A[d, n]) h[n] + dt' B[n] u
 *     y    = (sum_n C[n] h[n] + D[d] u) silu(z)
 */
export function selectiveScanFwd(
  { u, dt, A_log, B, C, D, z, ssm_state }: SelectiveScanInputs,
  { batch, seqlen, d_inner, d_state }: SelectiveScanShape,
): { y: Float64Array; ssm_state: Float64Array } {
  const y = new Float64Array(batch * seqlen * d_inner);
  const state = Float64Array.from(
    { length: batch * d_inner * d_state },
    (_, i) => at(ssm_state, i),
  );
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < d_inner; d++) {
      const h = state.subarray((b * d_inner + d) * d_state, (b * d_inner + d + 1) * d_state);
      for (let t = 0; t < seqlen; t++) {
        const row = b * seqlen + t;
        const u_t = at(u, row * d_inner + d);
        const dt_t = softplus(at(dt, row * d_inner + d));
        let sum = at(D, d) * u_t;
        for (let n = 0; n < d_state; n++) {
          const A_bar = Math.exp(-dt_t * Math.exp(at(A_log, d * d_state + n)));
          h[n] = A_bar * at(h, n) + dt_t * at(B, row * d_state + n) * u_t;
          sum += at(C, row * d_state + n) * at(h, n);
        }
        y[row * d_inner + d] = sum * silu(at(z, row * d_inner + d));
      }
    }
  }
  return { y, ssm_state: state };
}
