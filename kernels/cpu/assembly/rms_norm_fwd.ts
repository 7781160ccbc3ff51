// rms_norm_fwd: y[row] = x[row] * rstd * weight      rstd = 1 / sqrt(mean(x[row]^2) + eps)
// Items: rows.
// Arguments: x, from row to row of x in elements, weight, y, d_model, eps

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";
import { madd, sumLanes } from "./simd";

export function rmsNormFwd(rec: usize, begin: u32, end: u32): void {
  const x = arg(rec, 0);
  const ldX = arg(rec, 1);
  const weight = arg(rec, 2);
  const y = arg(rec, 3);
  const d_model = arg(rec, 4);
  const eps = argF32(rec, 5);
  for (let row = begin; row < end; row++) {
    const own = x + row * ldX * 4;
    const rstd = f32x4.splat(rstdOf(own, d_model, eps));
    const out = y + row * d_model * 4;
    let d: u32 = 0;
    for (; d + 4 <= d_model; d += 4) {
      const value = f32x4.mul(v128.load(own + d * 4), rstd);
      v128.store(out + d * 4, f32x4.mul(value, v128.load(weight + d * 4)));
    }
    const left = d_model - d;
    if (left == 0) continue;
    const value = f32x4.mul(loadLanes(own + d * 4, left), rstd);
    storeLanes(out + d * 4, left, f32x4.mul(value, loadLanes(weight + d * 4, left)));
  }
}

/** 1 / sqrt(mean(x^2) + eps) over `size` elements. */
export function rstdOf(x: usize, size: u32, eps: f32): f32 {
  return 1 / Mathf.sqrt(sumOfSquares(x, size) / <f32>size + eps);
}

/** Four sums of four lanes, each of every sixteenth element: one alone would wait for itself. */
export function sumOfSquares(x: usize, size: u32): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const end = x + size * 4;
  let at = x;
  for (; at + 64 <= end; at += 64) {
    a = plusSquares(a, v128.load(at));
    b = plusSquares(b, v128.load(at, 16));
    c = plusSquares(c, v128.load(at, 32));
    d = plusSquares(d, v128.load(at, 48));
  }
  for (; at < end; at += 16) a = plusSquares(a, loadLanes(at, <u32>(end - at) >> 2));
  return sumLanes(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}

// @ts-ignore: decorator
@inline
function plusSquares(sum: v128, values: v128): v128 {
  return madd(values, values, sum);
}
