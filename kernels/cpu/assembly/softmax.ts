// What sampling and scoring share: the largest of a row, and its sum of exponentials.

import { loadLanesOr } from "./lanes";
import { exp4 } from "./math";
import { sumLanes } from "./simd";

/** Below every logit. */
export const LOWEST: f32 = -3.4e38;

/** Vectors whose sum stays in f32: longer sums go on in f64, so that a long row's is as exact as a short one's. */
export const SUM_VECTORS: u32 = 64;

/** The largest of `size` floats, at least LOWEST; what is not a number takes no part. */
export function largestOf(x: usize, size: u32): f32 {
  // In two sums, since one would wait for itself. In this order pmax() passes over NaN.
  let even = f32x4.splat(LOWEST);
  let odd = even;
  let i: u32 = 0;
  for (; i + 8 <= size; i += 8) {
    even = f32x4.pmax(even, v128.load(x + i * 4));
    odd = f32x4.pmax(odd, v128.load(x + i * 4, 16));
  }
  for (; i < size; i += 4) even = f32x4.pmax(even, loadLanesOr(x + i * 4, size - i, LOWEST));
  const four = f32x4.pmax(even, odd);
  return max(
    max(f32x4.extract_lane(four, 0), f32x4.extract_lane(four, 1)),
    max(f32x4.extract_lane(four, 2), f32x4.extract_lane(four, 3)),
  );
}

/** The sum of exp(x - top) over `size` floats, which `e` (whole vectors) gets; zeros follow the last. */
export function exponentials(x: usize, e: usize, size: u32, top: f32): f32 {
  const tops = f32x4.splat(top);
  const whole = size & ~3;
  let total: f64 = 0;
  for (let first: u32 = 0; first < whole; first += 4 * SUM_VECTORS) {
    const end = min(whole, first + 4 * SUM_VECTORS);
    let sum = f32x4.splat(0);
    for (let i = first; i < end; i += 4) {
      const values = exp4(f32x4.sub(v128.load(x + i * 4), tops));
      v128.store(e + i * 4, values);
      sum = f32x4.add(sum, values);
    }
    total += <f64>sumLanes(sum);
  }
  if (whole < size) {
    const values = exp4(f32x4.sub(loadLanesOr(x + whole * 4, size - whole, -Infinity), tops));
    v128.store(e + whole * 4, values);
    total += <f64>sumLanes(values);
  }
  return <f32>total;
}

/** The first place of a value among `size` floats, or -1. */
export function placeOf(x: usize, size: u32, value: f32): i32 {
  const wanted = f32x4.splat(value);
  let i: u32 = 0;
  for (; i + 4 <= size; i += 4) {
    const lanes = i32x4.bitmask(f32x4.eq(v128.load(x + i * 4), wanted));
    if (lanes != 0) return i + ctz<i32>(lanes);
  }
  for (; i < size; i++) {
    if (load<f32>(x + i * 4) == value) return i;
  }
  return -1;
}
