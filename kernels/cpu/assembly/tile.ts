// What channel_matmul and channel_outer are made of: sums of four rows times two columns, of four channels each.

import { madd } from "./simd";

/** `to` becomes the sums over `count` products: of rows from w0 to w3 on, `step` bytes apart, and x and z, `stride` apart. */
// @ts-ignore: decorator
@inline
export function tileOf(
  to: usize, w0: usize, w1: usize, w2: usize, w3: usize, step: usize, x: usize, z: usize, stride: usize, count: u32,
): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (let row: usize = 0, end = count * step; row < end; row += step, x += stride, z += stride) {
    const first = v128.load(x);
    const second = v128.load(z);
    const v0 = v128.load(w0 + row);
    const v1 = v128.load(w1 + row);
    const v2 = v128.load(w2 + row);
    const v3 = v128.load(w3 + row);
    a0 = madd(v0, first, a0);
    a1 = madd(v1, first, a1);
    a2 = madd(v2, first, a2);
    a3 = madd(v3, first, a3);
    b0 = madd(v0, second, b0);
    b1 = madd(v1, second, b1);
    b2 = madd(v2, second, b2);
    b3 = madd(v3, second, b3);
  }
  storeTile(to, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** Writes a tile. */
// @ts-ignore: decorator
@inline
export function storeTile(
  to: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128,
): void {
  v128.store(to, a0, 0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
  v128.store(to, b0, 64);
  v128.store(to, b1, 80);
  v128.store(to, b2, 96);
  v128.store(to, b3, 112);
}
