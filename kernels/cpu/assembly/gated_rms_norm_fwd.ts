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
    scale(out, weight + first * 4, group_size, rstd);
  }
}

/** out = y silu(z) */
function gate(y: usize, z: usize, out: usize, size: u32): void {
  const end = y + (size & ~3) * 4;
  for (; y < end; y += 16, z += 16, out += 16) {
    v128.store(out, f32x4.mul(v128.load(y), silu4(v128.load(z))));
  }
  const left = size & 3;
  if (left > 0) storeLanes(out, left, f32x4.mul(loadLanes(y, left), silu4(loadLanes(z, left))));
}

/** out *= rstd weight */
function scale(out: usize, weight: usize, size: u32, rstd: v128): void {
  const end = out + (size & ~3) * 4;
  for (; out < end; out += 16, weight += 16) {
    v128.store(out, f32x4.mul(v128.load(out), f32x4.mul(rstd, v128.load(weight))));
  }
  const left = size & 3;
  if (left == 0) return;
  storeLanes(out, left, f32x4.mul(loadLanes(out, left), f32x4.mul(rstd, loadLanes(weight, left))));
}
