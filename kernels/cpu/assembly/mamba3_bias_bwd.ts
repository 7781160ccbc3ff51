// mamba3_bias_bwd: sums over all steps, of what mamba3_vkq_bwd left, as the gradients of B_bias and C_bias, and added
// to that of mimo_x, which has what the state brings.
// Items: heads.
// Arguments: sums (rank, [v, k, q]), grad_B_bias (nheads, rank, d_state), grad_C_bias, grad_mimo_x (nheads, rank, headdim) or
//   0, nheads, headdim, d_state, rank

import { arg } from "./record";

export function mamba3BiasBwd(rec: usize, begin: u32, end: u32): void {
  const nheads = arg(rec, 4);
  const headdim: usize = arg(rec, 5) * 4;
  const d_state: usize = arg(rec, 6) * 4;
  const rank = arg(rec, 7);
  for (let h = begin; h < end; h++) {
    for (let r: u32 = 0; r < rank; r++) {
      const v = arg(rec, 0) + r * nheads * (headdim + 2 * d_state);
      const k = v + nheads * headdim + h * d_state;
      const to: usize = h * rank + r;
      memory.copy(arg(rec, 1) + to * d_state, k, d_state);
      memory.copy(arg(rec, 2) + to * d_state, k + nheads * d_state, d_state);
      if (arg(rec, 3) == 0) continue;
      const total = arg(rec, 3) + to * headdim;
      for (let p: usize = 0; p < headdim; p += 4) {
        store<f32>(total + p, load<f32>(total + p) + load<f32>(v + h * headdim + p));
      }
    }
  }
}
