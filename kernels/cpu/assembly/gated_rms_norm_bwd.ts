// gated_rms_norm_bwd: backward of gated_rms_norm_fwd, which kept nothing: rstd is computed again. grad_y replaces grad_out.
//   gate first:        v = y silu(z), r = grad_out           grad_y = grad_v silu(z)    grad_z = grad_v y silu'(z)
//   norm_before_gate:  v = y, r = grad_out silu(z)           grad_y = grad_v   grad_z = grad_out v rstd weight silu'(z)
//   with rstd = 1 / sqrt(mean(v^2) + eps) over a group, and grad_v = rstd (r weight - v rstd^2 mean(r weight v))
//   without a weight:  out = y silu(z), as if rstd and weight were 1 and the mean 0
//   partials[part] = the sum over the part's rows of r v rstd, which sum_partials adds up to grad_weight
// Items: parts of rowsPerPart rows, of one group.
// Arguments: y, z, from row to row of z in elements, weight or 0, grad_out, grad_z, from row to row of grad_z, partials,
//   rows, d_inner, group_size, eps, norm_before_gate, rowsPerPart
// Scratch: v and r of a group, each in whole vectors

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { siluDerivative4, silu4 } from "./math";
import { arg, argF32 } from "./record";
import { sumOfProducts } from "./rms_norm_bwd";
import { rstdOf } from "./rms_norm_fwd";
import { madd } from "./simd";

export function gatedRmsNormBwd(rec: usize, begin: u32, end: u32): void {
  const rows = arg(rec, 8);
  const d_inner = arg(rec, 9);
  const size = arg(rec, 10);
  const rowsPerPart = arg(rec, 13);
  const groups = d_inner / size;
  const v = threadScratch();
  const r = v + ((size + 3) & ~3) * 4;
  for (let item = begin; item < end; item++) {
    const part = item / groups;
    const first = item % groups * size;
    const weight: usize = arg(rec, 3) == 0 ? 0 : arg(rec, 3) + first * 4;
    const partial = arg(rec, 7) + (part * d_inner + first) * 4;
    if (weight != 0) memory.fill(partial, 0, size * 4);
    const last = min(rows, (part + 1) * rowsPerPart);
    for (let row = part * rowsPerPart; row < last; row++) {
      const own: usize = (row * d_inner + first) * 4;
      const y = arg(rec, 0) + own;
      const z = arg(rec, 1) + (row * arg(rec, 2) + first) * 4;
      const grad_out = arg(rec, 4) + own;
      const grad_z = arg(rec, 5) + (row * arg(rec, 6) + first) * 4;
      if (weight == 0) {
        gateBwd(y, z, grad_out, grad_z, size);
        continue;
      }
      prepare(y, z, grad_out, v, r, size, arg(rec, 12) != 0);
      const rstd = rstdOf(v, size, argF32(rec, 11));
      const pull = rstd * rstd * sumOfProducts(r, weight, v, size) / <f32>size;
      rowBwd(y, z, weight, grad_out, grad_z, partial, v, r, size, rstd, pull, arg(rec, 12) != 0);
    }
  }
}

/** Without a norm. */
function gateBwd(y: usize, z: usize, grad_out: usize, grad_z: usize, size: u32): void {
  for (let d: u32 = 0; d < size; d += 4) {
    const at: usize = d * 4;
    const left = size - d;
    const gate = loadLanes(z + at, left);
    const grad = loadLanes(grad_out + at, left);
    storeLanes(grad_out + at, left, f32x4.mul(grad, silu4(gate)));
    storeLanes(grad_z + at, left, f32x4.mul(f32x4.mul(grad, loadLanes(y + at, left)), siluDerivative4(gate)));
  }
}

/** v and r. */
function prepare(y: usize, z: usize, grad_out: usize, v: usize, r: usize, size: u32, normFirst: bool): void {
  for (let d: u32 = 0; d < size; d += 4) {
    const at: usize = d * 4;
    const left = size - d;
    const gate = silu4(loadLanes(z + at, left));
    const value = loadLanes(y + at, left);
    const grad = loadLanes(grad_out + at, left);
    v128.store(v + at, normFirst ? value : f32x4.mul(value, gate));
    v128.store(r + at, normFirst ? f32x4.mul(grad, gate) : grad);
  }
}

function rowBwd(
  y: usize, z: usize, weight: usize, grad_out: usize, grad_z: usize, partial: usize, v: usize, r: usize, size: u32,
  rstd: f32, pull: f32, normFirst: bool,
): void {
  const factor = f32x4.splat(rstd);
  const pulls = f32x4.splat(pull);
  for (let d: u32 = 0; d < size; d += 4) {
    const at: usize = d * 4;
    const left = size - d;
    const gate = loadLanes(z + at, left);
    const grad = loadLanes(grad_out + at, left);
    const w = loadLanes(weight + at, left);
    const value = v128.load(v + at);
    const result = v128.load(r + at);
    const grad_v = f32x4.mul(factor, f32x4.sub(f32x4.mul(result, w), f32x4.mul(value, pulls)));
    const grad_gate = normFirst
      ? f32x4.mul(f32x4.mul(grad, value), f32x4.mul(factor, w))
      : f32x4.mul(grad_v, loadLanes(y + at, left));
    storeLanes(grad_out + at, left, normFirst ? grad_v : f32x4.mul(grad_v, silu4(gate)));
    storeLanes(grad_z + at, left, f32x4.mul(grad_gate, siluDerivative4(gate)));
    storeLanes(partial + at, left, madd(f32x4.mul(result, value), factor, loadLanes(partial + at, left)));
  }
}
