// gelu_fwd and gelu_bwd: GELU by its form with tanh, of each element: see kernels/gelu_fwd.wgsl and gelu_bwd.wgsl.
// Items: blocks of 1024 elements.
// Arguments: x, y or grad, size

import { loadLanes, storeLanes } from "./lanes";
import { sigmoid4 } from "./math";
import { arg } from "./record";
import { madd } from "./simd";

const BLOCK: u32 = 1024;

/** sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)). */
// @ts-ignore: decorator
@inline
function gate(x: v128): v128 {
  const inner = madd(f32x4.mul(x, x), f32x4.splat(0.044715), f32x4.splat(1));
  return sigmoid4(f32x4.mul(f32x4.mul(x, f32x4.splat(1.5957691)), inner));
}

export function geluFwd(rec: usize, begin: u32, end: u32): void {
  const last = min(end * BLOCK, arg(rec, 2));
  for (let i = begin * BLOCK; i < last; i += 4) {
    const x = loadLanes(arg(rec, 0) + i * 4, last - i);
    storeLanes(arg(rec, 1) + i * 4, last - i, f32x4.mul(x, gate(x)));
  }
}

export function geluBwd(rec: usize, begin: u32, end: u32): void {
  const one = f32x4.splat(1);
  const last = min(end * BLOCK, arg(rec, 2));
  for (let i = begin * BLOCK; i < last; i += 4) {
    const x = loadLanes(arg(rec, 0) + i * 4, last - i);
    const s = gate(x);
    const slope = f32x4.mul(f32x4.splat(1.5957691), madd(f32x4.mul(x, x), f32x4.splat(0.134145), one));
    const factor = madd(f32x4.mul(f32x4.mul(x, s), f32x4.sub(one, s)), slope, s);
    const grad = loadLanes(arg(rec, 1) + i * 4, last - i);
    storeLanes(arg(rec, 1) + i * 4, last - i, f32x4.mul(grad, factor));
  }
}
