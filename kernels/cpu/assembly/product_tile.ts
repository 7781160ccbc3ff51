// 6 x 8 elements of a product, from panels: twelve sums, two vectors of b and one of a are as many as V8 keeps in registers.
// Measured there: 35 GFLOP/s, with 4 x 8 31, with 3 x 12 32, with 4 x 12, which do not fit, 22.

import { loadLanes, storeLanes } from "./lanes";
import { madd } from "./simd";

/**
 * c = start + a b, or c += that with `adds`, for up to 6 rows and 8 columns.
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
  const c4 = rows > 4 ? c + 4 * ldc : nobody;
  const c5 = rows > 5 ? c + 5 * ldc : nobody;
  const right = columns > 4 ? columns - 4 : 0;
  let s00 = startOf(c, columns, start0, adds);
  let s01 = startOf(c + 16, right, start1, adds);
  let s10 = startOf(c1, columns, start0, adds);
  let s11 = startOf(c1 + 16, right, start1, adds);
  let s20 = startOf(c2, columns, start0, adds);
  let s21 = startOf(c2 + 16, right, start1, adds);
  let s30 = startOf(c3, columns, start0, adds);
  let s31 = startOf(c3 + 16, right, start1, adds);
  let s40 = startOf(c4, columns, start0, adds);
  let s41 = startOf(c4 + 16, right, start1, adds);
  let s50 = startOf(c5, columns, start0, adds);
  let s51 = startOf(c5 + 16, right, start1, adds);
  const end = a + terms * 24;
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
    own = v128.load32_splat(a, 16);
    s40 = madd(own, b0, s40);
    s41 = madd(own, b1, s41);
    own = v128.load32_splat(a, 20);
    s50 = madd(own, b0, s50);
    s51 = madd(own, b1, s51);
    a += 24;
    b += 32;
  }
  storeLanes(c, columns, s00);
  storeLanes(c1, columns, s10);
  storeLanes(c2, columns, s20);
  storeLanes(c3, columns, s30);
  storeLanes(c4, columns, s40);
  storeLanes(c5, columns, s50);
  if (right == 0) return;
  storeLanes(c + 16, right, s01);
  storeLanes(c1 + 16, right, s11);
  storeLanes(c2 + 16, right, s21);
  storeLanes(c3 + 16, right, s31);
  storeLanes(c4 + 16, right, s41);
  storeLanes(c5 + 16, right, s51);
}

// @ts-ignore: decorator
@inline
function startOf(c: usize, count: u32, start: v128, adds: bool): v128 {
  return adds && count > 0 ? f32x4.add(start, loadLanes(c, count)) : start;
}
