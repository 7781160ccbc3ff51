import { softplus } from "./activations.ts";
import { at } from "./at.ts";

/** What the recurrence of Mamba-2 reads. */
export interface SsdInputs {
  /** (batch, seqlen, nheads, headdim): the convolution's output, after SiLU. */
  x: ArrayLike<number>;
  /** (batch, seqlen, ngroups, d_state) */
  B: ArrayLike<number>;
  /** (batch, seqlen, ngroups, d_state) */
  C: ArrayLike<number>;
  /** (batch, seqlen, nheads): before bias and softplus. */
  dt: ArrayLike<number>;
  /** (nheads) */
  dt_bias: ArrayLike<number>;
  /** (nheads): A = -exp(A_log). */
  A_log: ArrayLike<number>;
  /** (nheads), or (nheads, headdim). */
  D: ArrayLike<number>;
  /** (batch, nheads, headdim, d_state), zeros before the first token; left as it is. */
  ssm_state: ArrayLike<number>;
}

/** Sizes of the recurrence, and the limits of dt. */
export interface SsdShape {
  batch: number;
  seqlen: number;
  nheads: number;
  headdim: number;
  d_state: number;
  ngroups: number;
  dt_limit: readonly [number, number];
}

/** dt of a step and head: softplus, then the limits. */
export function limitedDt(raw: number, [low, high]: readonly [number, number]): number {
  return Math.min(Math.max(softplus(raw), low), high);
}

/**
 * The recurrence of Mamba-2 (Dao & Gu 2024), step by step, for each b, t, head h of group g and
 * channel p of the head:
 *
 *     dt'     = clamp(softplus(dt[h] + dt_bias[h]), dt_limit)
 *     s[p, n] = exp(-dt' exp(A_log[h])) s[p, n] + dt' B[g, n] x[p]
 *     y[p]    = sum_n C[g, n] s[p, n] + D x[p]
 *
 * @returns y (batch, seqlen, nheads, headdim), ssm_state
 */
export function ssdFwd(
  { x, B, C, dt, dt_bias, A_log, D, ssm_state }: SsdInputs,
  { batch, seqlen, nheads, headdim, d_state, ngroups, dt_limit }: SsdShape,
): { y: Float64Array; ssm_state: Float64Array } {
  const y = new Float64Array(batch * seqlen * nheads * headdim);
  const state = Float64Array.from(
    { length: batch * nheads * headdim * d_state },
    (_, i) => at(ssm_state, i),
  );
  const D_at = (h: number, p: number) => at(D, D.length === nheads ? h : h * headdim + p);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nheads; h++) {
      const g = Math.floor(h * ngroups / nheads);
      for (let t = 0; t < seqlen; t++) {
        const row = b * seqlen + t;
        const dt_t = limitedDt(at(dt, row * nheads + h) + at(dt_bias, h), dt_limit);
        const A_bar = Math.exp(-dt_t * Math.exp(at(A_log, h)));
        const BC = (row * ngroups + g) * d_state;
        for (let p = 0; p < headdim; p++) {
          const first = ((b * nheads + h) * headdim + p) * d_state;
          const x_t = at(x, (row * nheads + h) * headdim + p);
          let sum = D_at(h, p) * x_t;
          for (let n = 0; n < d_state; n++) {
            state[first + n] = A_bar * at(state, first + n) + dt_t * at(B, BC + n) * x_t;
            sum += at(C, BC + n) * at(state, first + n);
          }
          y[(row * nheads + h) * headdim + p] = sum;
        }
      }
    }
  }
  return { y, ssm_state: state };
}
