// dt_bc_norm_fwd: FalconMamba's norms of x_proj's output, in place: of dt_low, of B and of C, each without a weight.
//   v *= rstd      rstd = 1 / sqrt(mean(v^2) + eps)
// Items: rows.
// Arguments: x_dbl, dt_rank, d_state, eps, rstd (rows, 3) for the backward or 0

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";

export function dtBCNormFwd(rec: usize, begin: u32, end: u32): void {
  const dt_rank = arg(rec, 1);
  const d_state = arg(rec, 2);
  const eps = argF32(rec, 3);
  for (let row = begin; row < end; row++) {
    const dt_low = arg(rec, 0) + row * (dt_rank + 2 * d_state) * 4;
    const dt_rstd = normalize(dt_low, dt_rank, eps);
    const B_rstd = normalize(dt_low + dt_rank * 4, d_state, eps);
    const C_rstd = normalize(dt_low + (dt_rank + d_state) * 4, d_state, eps);
    if (arg(rec, 4) == 0) continue;
    const rstd = arg(rec, 4) + row * 12;
    store<f32>(rstd, dt_rstd);
    store<f32>(rstd, B_rstd, 4);
    store<f32>(rstd, C_rstd, 8);
  }
}

function normalize(v: usize, size: u32, eps: f32): f32 {
  const rstd = rstdOf(v, size, eps);
  const factor = f32x4.splat(rstd);
  for (let i: u32 = 0; i < size; i += 4) {
    const count = size - i;
    storeLanes(v + i * 4, count, f32x4.mul(loadLanes(v + i * 4, count), factor));
  }
  return rstd;
}
