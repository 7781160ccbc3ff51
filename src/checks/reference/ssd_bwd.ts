import { softplus } from "./activations.ts";
import { softplusDerivative } from "./activations_bwd.ts";
import { at } from "./at.ts";
import { limitedDt, type SsdInputs, type SsdShape } from "./ssd.ts";

/** Gradients of everything that the recurrence reads, each of its input's shape. */
export interface SsdGradients {
  grad_x: Float64Array;
  grad_B: Float64Array;
  grad_C: Float64Array;
  /** Of dt before bias and softplus. */
  grad_dt: Float64Array;
  grad_dt_bias: Float64Array;
  grad_A_log: Float64Array;
  grad_D: Float64Array;
  /** Of the initial state. */
  grad_ssm_state: Float64Array;
}

/**
 * Backward of ssdFwd(). With A_bar = exp(dt' A), and q[p, n] the gradient of s[p, n] after step t,
 * the steps from the last to the first:
 *
 *     q[p, n]    = q[p, n] + C[n] grad_y[p]             (then, for the step before, A_bar q[p, n])
 *     grad_C[n] += sum_p grad_y[p] s[p, n]              grad_B[n] += sum_p q[p, n] dt' x[p]
 *     grad_x[p]  = D grad_y[p] + dt' sum_n q[p, n] B[n]
 *     grad_dt'   = sum_p,n q[p, n] (A A_bar s_before[p, n] + B[n] x[p])
 *     grad_A_log += A dt' A_bar sum_p,n q[p, n] s_before[p, n]         grad_D += grad_y[p] x[p]
 *
 * dt's gradient passes the limits, both included, and softplus.
 *
 * @param grad_y (batch, seqlen, nheads, headdim)
 * @param grad_final_state (batch, nheads, headdim, d_state): of the state after the last step; zeros
 * when absent
 */
export function ssdBwd(
  { x, B, C, dt, dt_bias, A_log, D, ssm_state }: SsdInputs,
  grad_y: ArrayLike<number>,
  { batch, seqlen, nheads, headdim, d_state, ngroups, dt_limit }: SsdShape,
  grad_final_state?: ArrayLike<number>,
): SsdGradients {
  const grad_x = new Float64Array(x.length);
  const grad_B = new Float64Array(B.length);
  const grad_C = new Float64Array(C.length);
  const grad_dt = new Float64Array(dt.length);
  const grad_dt_bias = new Float64Array(nheads);
  const grad_A_log = new Float64Array(nheads);
  const grad_D = new Float64Array(D.length);
  const size = headdim * d_state;
  const grad_ssm_state = Float64Array.from(
    { length: batch * nheads * size },
    (_, i) => grad_final_state === undefined ? 0 : at(grad_final_state, i),
  );
  const add = (sums: Float64Array, i: number, value: number) => sums[i] = at(sums, i) + value;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nheads; h++) {
      const g = Math.floor(h * ngroups / nheads);
      const A = -Math.exp(at(A_log, h));
      const BC = (t: number) => ((b * seqlen + t) * ngroups + g) * d_state;
      const raw = (t: number) => at(dt, (b * seqlen + t) * nheads + h) + at(dt_bias, h);
      const x_at = (t: number, p: number) => at(x, ((b * seqlen + t) * nheads + h) * headdim + p);
      // (seqlen + 1, headdim, d_state): the state before each step, then the final one.
      const s = new Float64Array((seqlen + 1) * size);
      for (let i = 0; i < size; i++) s[i] = at(ssm_state, (b * nheads + h) * size + i);
      for (let t = 0; t < seqlen; t++) {
        const dt_t = limitedDt(raw(t), dt_limit);
        for (let i = 0; i < size; i++) {
          const [p, n] = [Math.floor(i / d_state), i % d_state];
          s[(t + 1) * size + i] = Math.exp(dt_t * A) * at(s, t * size + i) +
            dt_t * at(B, BC(t) + n) * x_at(t, p);
        }
      }

      const q = grad_ssm_state.subarray((b * nheads + h) * size, (b * nheads + h + 1) * size);
      for (let t = seqlen - 1; t >= 0; t--) {
        const row = (b * seqlen + t) * nheads + h;
        const dt_t = limitedDt(raw(t), dt_limit);
        const A_bar = Math.exp(dt_t * A);
        let [throughA, throughB] = [0, 0];
        for (let p = 0; p < headdim; p++) {
          const grad = at(grad_y, row * headdim + p);
          const d = D.length === nheads ? h : h * headdim + p;
          const x_t = x_at(t, p);
          let sum = 0;
          for (let n = 0; n < d_state; n++) {
            const i = p * d_state + n;
            const [before, after] = [at(s, t * size + i), at(s, (t + 1) * size + i)];
            const q_i = at(q, i) + at(C, BC(t) + n) * grad;
            add(grad_C, BC(t) + n, grad * after);
            add(grad_B, BC(t) + n, q_i * dt_t * x_t);
            sum += q_i * at(B, BC(t) + n);
            throughA += q_i * A_bar * before;
            q[i] = A_bar * q_i;
          }
          throughB += sum * x_t;
          grad_x[row * headdim + p] = at(D, d) * grad + dt_t * sum;
          add(grad_D, d, grad * x_t);
        }
        add(grad_A_log, h, A * dt_t * throughA);
        const [low, high] = dt_limit;
        const unlimited = softplus(raw(t));
        const passes = unlimited >= low && unlimited <= high;
        const grad_raw = passes ? (A * throughA + throughB) * softplusDerivative(raw(t)) : 0;
        grad_dt[row] = grad_raw;
        add(grad_dt_bias, h, grad_raw);
      }
    }
  }
  return { grad_x, grad_B, grad_C, grad_dt, grad_dt_bias, grad_A_log, grad_D, grad_ssm_state };
}
