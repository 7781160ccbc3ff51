// rms_norm_bwd: backward of rms_norm_fwd, which kept nothing: rstd is computed again from x.
//   With rstd = 1 / sqrt(mean(x^2) + eps), for each row:
//   grad_x = rstd (grad_y weight - x rstd^2 mean(grad_y weight x)), or += with `adds`
//   partials[part] = the sum over the part's rows of grad_y x rstd, which sum_partials adds up to grad_weight
// Items: parts of rowsPerPart rows.
// Arguments: x, from row to row of x in elements, weight, grad_y, grad_x, partials, rows, d_model, eps, rowsPerPart, adds

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";
import { madd, sumLanes } from "./simd";

export function rmsNormBwd(rec: usize, begin: u32, end: u32): void {
  const rows = arg(rec, 6);
  const d_model = arg(rec, 7);
  const eps = argF32(rec, 8);
  const rowsPerPart = arg(rec, 9);
  const adds = arg(rec, 10) != 0;
  const weight = arg(rec, 2);
  for (let part = begin; part < end; part++) {
    const partial = arg(rec, 5) + part * d_model * 4;
    memory.fill(partial, 0, d_model * 4);
    const last = min(rows, (part + 1) * rowsPerPart);
    for (let row = part * rowsPerPart; row < last; row++) {
      const x = arg(rec, 0) + row * arg(rec, 1) * 4;
      const grad_y = arg(rec, 3) + row * d_model * 4;
      const rstd = rstdOf(x, d_model, eps);
      const pull = rstd * rstd * sumOfProducts(x, grad_y, weight, d_model) / <f32>d_model;
      rowBwd(x, weight, grad_y, arg(rec, 4) + row * d_model * 4, partial, d_model, rstd, pull, adds);
    }
  }
}

/** The sum of a b c over `size` elements, in two sums, since one would wait for itself. */
export function sumOfProducts(a: usize, b: usize, c: usize, size: u32): f32 {
  let even = f32x4.splat(0);
  let odd = even;
  let i: u32 = 0;
  for (; i + 8 <= size; i += 8) {
    const at: usize = i * 4;
    even = madd(f32x4.mul(v128.load(a + at), v128.load(b + at)), v128.load(c + at), even);
    odd = madd(f32x4.mul(v128.load(a + at, 16), v128.load(b + at, 16)), v128.load(c + at, 16), odd);
  }
  for (; i < size; i += 4) {
    const at: usize = i * 4;
    const left = size - i;
    even = madd(f32x4.mul(loadLanes(a + at, left), loadLanes(b + at, left)), loadLanes(c + at, left), even);
  }
  return sumLanes(f32x4.add(even, odd));
}

/** The gradients of a row. */
function rowBwd(
  x: usize, weight: usize, grad_y: usize, grad_x: usize, partial: usize, size: u32, rstd: f32, pull: f32, adds: bool,
): void {
  const factor = f32x4.splat(rstd);
  const pulls = f32x4.splat(pull);
  for (let d: u32 = 0; d < size; d += 4) {
    const at: usize = d * 4;
    const left = size - d;
    const value = loadLanes(x + at, left);
    const grad = loadLanes(grad_y + at, left);
    const inner = f32x4.sub(f32x4.mul(grad, loadLanes(weight + at, left)), f32x4.mul(value, pulls));
    const result = adds ? madd(factor, inner, loadLanes(grad_x + at, left)) : f32x4.mul(factor, inner);
    storeLanes(grad_x + at, left, result);
    const own = madd(f32x4.mul(grad, value), factor, loadLanes(partial + at, left));
    storeLanes(partial + at, left, own);
  }
}
