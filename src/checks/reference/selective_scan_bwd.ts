import { silu, softplus } from "./activations.ts";
import { siluDerivative, softplusDerivative } from "./activations_bwd.ts";
import { at } from "./at.ts";
import type { SelectiveScanInputs, SelectiveScanShape } from "./selective_scan.ts";

/** Gradients of everything that the scan reads, each of its input's shape. */
export interface SelectiveScanGradients {
  /** (batch, seqlen, d_inner) */
  grad_u: Float64Array;
  /** (batch, seqlen, d_inner): of dt before softplus. */
  grad_dt: Float64Array;
  /** (d_inner, d_state) */
  grad_A_log: Float64Array;
  /** (batch, seqlen, d_state) */
  grad_B: Float64Array;
  /** (batch, seqlen, d_state) */
  grad_C: Float64Array;
  /** (d_inner) */
  grad_D: Float64Array;
  /** (batch, seqlen, d_inner): of the gate before SiLU. */
  grad_z: Float64Array;
  /** (batch, d_inner, d_state): of the initial state. */
  grad_ssm_state: Float64Array;
}

/**
 * Backward of selectiveScanFwd(). With s = sum_n C[n] h[n] + D u, dt' = softplus(dt) and
 * A_bar = exp(dt' A), and p[n] the gradient of h[n] after step t, the steps from the last to the
 * first:
 *
 *     grad_s     = grad_y silu(z)                    grad_z = grad_y s silu'(z)
 *     p[n]       = p[n] + C[n] grad_s                (then, for the step before, A_bar[n] p[n])
 *     grad_C[n] += grad_s h[n]                       grad_D += grad_s u
 *     grad_u     = D grad_s + sum_n p[n] dt' B[n]    grad_B[n] += p[n] dt' u
 *     grad_dt    = softplus'(dt) sum_n p[n] (A[n] A_bar[n] h_before[n] + B[n] u)
 *     grad_A_log[n] += p[n] dt' A_bar[n] h_before[n] A[n]
 *
 * @param grad_y (batch, seqlen, d_inner): of the gated output
 * @param grad_final_state (batch, d_inner, d_state): of the state after the last step; zeros when
 * absent
 */
export function selectiveScanBwd(
  { u, dt, A_log, B, C, D, z, ssm_state }: SelectiveScanInputs,
  grad_y: ArrayLike<number>,
  { batch, seqlen, d_inner, d_state }: SelectiveScanShape,
  grad_final_state?: ArrayLike<number>,
): SelectiveScanGradients {
  const grad_u = new Float64Array(batch * seqlen * d_inner);
  const grad_dt = new Float64Array(batch * seqlen * d_inner);
  const grad_A_log = new Float64Array(d_inner * d_state);
  const grad_B = new Float64Array(batch * seqlen * d_state);
  const grad_C = new Float64Array(batch * seqlen * d_state);
  const grad_D = new Float64Array(d_inner);
  const grad_z = new Float64Array(batch * seqlen * d_inner);
  const grad_ssm_state = new Float64Array(batch * d_inner * d_state);
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < d_inner; d++) {
      const A = (n: number) => -Math.exp(at(A_log, d * d_state + n));
      // (seqlen + 1, d_state): the state before each step, then the final one.
      const h = new Float64Array((seqlen + 1) * d_state);
      for (let n = 0; n < d_state; n++) h[n] = at(ssm_state, (b * d_inner + d) * d_state + n);
      for (let t = 0; t < seqlen; t++) {
        const row = b * seqlen + t;
        const dt_t = softplus(at(dt, row * d_inner + d));
        const u_t = at(u, row * d_inner + d);
        for (let n = 0; n < d_state; n++) {
          h[(t + 1) * d_state + n] = Math.exp(dt_t * A(n)) * at(h, t * d_state + n) +
            dt_t * at(B, row * d_state + n) * u_t;
        }
      }

      const p = grad_ssm_state.subarray(
        (b * d_inner + d) * d_state,
        (b * d_inner + d + 1) * d_state,
      );
      if (grad_final_state !== undefined) {
        for (let n = 0; n < d_state; n++) {
          p[n] = at(grad_final_state, (b * d_inner + d) * d_state + n);
        }
      }
      for (let t = seqlen - 1; t >= 0; t--) {
        const row = b * seqlen + t;
        const i = row * d_inner + d;
        const [u_t, z_t, dt_t] = [at(u, i), at(z, i), softplus(at(dt, i))];
        const grad_s = at(grad_y, i) * silu(z_t);
        let [s, grad_u_t, grad_dt_t] = [at(D, d) * u_t, at(D, d) * grad_s, 0];
        for (let n = 0; n < d_state; n++) {
          const j = row * d_state + n;
          const A_bar = Math.exp(dt_t * A(n));
          const [before, after] = [at(h, t * d_state + n), at(h, (t + 1) * d_state + n)];
          const p_n = at(p, n) + at(C, j) * grad_s;
          s += at(C, j) * after;
          grad_C[j] = at(grad_C, j) + grad_s * after;
          grad_B[j] = at(grad_B, j) + p_n * dt_t * u_t;
          grad_u_t += p_n * dt_t * at(B, j);
          grad_dt_t += p_n * (A(n) * A_bar * before + at(B, j) * u_t);
          grad_A_log[d * d_state + n] = at(grad_A_log, d * d_state + n) +
            p_n * dt_t * A_bar * before * A(n);
          p[n] = A_bar * p_n;
        }
        grad_u[i] = grad_u_t;
        grad_dt[i] = grad_dt_t * softplusDerivative(at(dt, i));
        grad_z[i] = at(grad_y, i) * s * siluDerivative(z_t);
        grad_D[d] = at(grad_D, d) + grad_s * u_t;
      }
    }
  }
  return { grad_u, grad_dt, grad_A_log, grad_B, grad_C, grad_D, grad_z, grad_ssm_state };
}
