// 4 x 8 elements of a product, from panels. Eight sums are as many as a processor needs to be busy, and leave registers
// for their terms: with twelve, V8 keeps some in memory.

import { loadLanes, storeLanes } from "./lanes";
import { madd } from "./simd";

/**
 * c = start + a b, or c += that with `adds`, for up to 4 rows and 8 columns.
 *
 * @param nobody Where the rows go that are not there.
 */
export function productTile(
  a: usize, b: usize, terms: u32, c: usize, ldc: usize, rows: u32, columns: u32, nobody: usize, start0: v128, start1: v128,
  adds: bool,
): void {
  const c1 = rows > 1 ? c + ldc : nobody;
  const c2 = rows > 2 ? c + 2 * ldc : nobody;
  const c3 = rows > 3 ? c + 3 * ldc : nobody;
  let s00 = adds ? f32x4.add(start0, loadLanes(c, columns)) : start0;
  let s10 = adds ? f32x4.add(start0, loadLanes(c1, columns)) : start0;
  let s20 = adds ? f32x4.add(start0, loadLanes(c2, columns)) : start0;
  let s30 = adds ? f32x4.add(start0, loadLanes(c3, columns)) : start0;
  const right = columns > 4 ? columns - 4 : 0;
  const reads = adds && right > 0;
  let s01 = reads ? f32x4.add(start1, loadLanes(c + 16, right)) : start1;
  let s11 = reads ? f32x4.add(start1, loadLanes(c1 + 16, right)) : start1;
  let s21 = reads ? f32x4.add(start1, loadLanes(c2 + 16, right)) : start1;
  let s31 = reads ? f32x4.add(start1, loadLanes(c3 + 16, right)) : start1;
  const end = a + (terms << 4);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let own = v128.load32_splat(a);
    s00 = madd(own, b0, s00);
    s01 = madd(own, b1, s01);
    own = v128.load32_splat(a, 4);
    s10 = madd(own, b0, s10);
    s11 = madd(own, b1, s11);
    own = v128.load32_splat(a, 8);
    s20 = madd(own, b0, s20);
    s21 = madd(own, b1, s21);
    own = v128.load32_splat(a, 12);
    s30 = madd(own, b0, s30);
    s31 = madd(own, b1, s31);
    a += 16;
    b += 32;
  }
  storeLanes(c, columns, s00);
  storeLanes(c1, columns, s10);
  storeLanes(c2, columns, s20);
  storeLanes(c3, columns, s30);
  if (right == 0) return;
  storeLanes(c + 16, right, s01);
  storeLanes(c1 + 16, right, s11);
  storeLanes(c2 + 16, right, s21);
  storeLanes(c3 + 16, right, s31);
}
