// dt_bc_norm_bwd: backward of dt_bc_norm_fwd, in place, for each of dt_low, B and C:
//   grad_v = rstd (grad_v - v mean(grad_v v))      with v what the forward left
// Items: rows.
// Arguments: x_dbl, rstd (rows, 3), grad_x_dbl, dt_rank, d_state

import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";
import { madd, sumLanes } from "./simd";

export function dtBCNormBwd(rec: usize, begin: u32, end: u32): void {
  const dt_rank = arg(rec, 3);
  const d_state = arg(rec, 4);
  for (let row = begin; row < end; row++) {
    const first: usize = row * (dt_rank + 2 * d_state) * 4;
    const v = arg(rec, 0) + first;
    const grad = arg(rec, 2) + first;
    const rstd = arg(rec, 1) + row * 12;
    const B: usize = dt_rank * 4;
    const C: usize = B + d_state * 4;
    partBwd(v, grad, dt_rank, load<f32>(rstd));
    partBwd(v + B, grad + B, d_state, load<f32>(rstd, 4));
    partBwd(v + C, grad + C, d_state, load<f32>(rstd, 8));
  }
}

function partBwd(v: usize, grad: usize, size: u32, rstd: f32): void {
  let sum = f32x4.splat(0);
  for (let i: u32 = 0; i < size; i += 4) {
    sum = madd(loadLanes(v + i * 4, size - i), loadLanes(grad + i * 4, size - i), sum);
  }
  const mean = f32x4.splat(sumLanes(sum) / <f32>size);
  const factor = f32x4.splat(rstd);
  for (let i: u32 = 0; i < size; i += 4) {
    const at: usize = i * 4;
    const left = size - i;
    const inner = f32x4.sub(loadLanes(grad + at, left), f32x4.mul(loadLanes(v + at, left), mean));
    storeLanes(grad + at, left, f32x4.mul(factor, inner));
  }
}
