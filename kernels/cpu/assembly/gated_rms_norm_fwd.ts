// gated_rms_norm_fwd: the norm of Mamba-2, over groups of group_size columns, and its gate in either order.
//   gate first:        v = y silu(z)      out = v rstd weight
//   norm_before_gate:  v = y              out = v rstd weight silu(z)      rstd = 1 / sqrt(mean(v^2) + eps)
//   without a weight:  out = y silu(z)
// Items: groups of rows.
// Arguments: y, z, from row to row of z in elements, weight or 0, out, d_inner, group_size, eps, norm_before_gate

import { loadLanes, storeLanes } from "./lanes";
import { silu4 } from "./math";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";

export function gatedRmsNormFwd(rec: usize, begin: u32, end: u32): void {
  const d_inner = arg(rec, 5);
  const group_size = arg(rec, 6);
  const groups = d_inner / group_size;
  for (let item = begin; item < end; item++) {
    const row = item / groups;
    const first = item % groups * group_size;
    const start = (row * d_inner + first) * 4;
    const y = arg(rec, 0) + start;
    const z = arg(rec, 1) + (row * arg(rec, 2) + first) * 4;
    const out = arg(rec, 4) + start;
    gate(y, z, out, group_size);
    const weight = arg(rec, 3);
    if (weight == 0) continue;
    const normed: usize = arg(rec, 8) != 0 ? y : out;
    const rstd = f32x4.splat(rstdOf(normed, group_size, argF32(rec, 7)));
    for (let d: u32 = 0; d < group_size; d += 4) {
      const count = group_size - d;
      const factor = f32x4.mul(rstd, loadLanes(weight + (first + d) * 4, count));
      storeLanes(out + d * 4, count, f32x4.mul(loadLanes(out + d * 4, count), factor));
    }
  }
}

function gate(y: usize, z: usize, out: usize, size: u32): void {
  for (let d: u32 = 0; d < size; d += 4) {
    const count = size - d;
    const value = f32x4.mul(loadLanes(y + d * 4, count), silu4(loadLanes(z + d * 4, count)));
    storeLanes(out + d * 4, count, value);
  }
}
