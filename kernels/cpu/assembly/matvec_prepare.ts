// What a matvec makes of a row of x, once a thread, in the form that its panels take:
//   a header of 16 bytes: the factor that the sums are to be multiplied by (f32)
//   f32, bf16      x, padded with zeros to whole blocks
//   f16            the same, times the power of two that makes up for weights being 2^112 too small (see dotF16)
//   int8, int4     blocks of 32 columns: x as fixed-point numbers of 31 bits in two planes of int16, the upper halves of
//                  32 values, then the lower halves; then, for int4, -8 times the sums of both, four lanes each
// With a norm, x is RMSNorm(x; norm_weight) but for the factor rsqrt(mean x^2 + eps), which goes into the header.

import { WeightDType } from "../weight_dtype";
import { loadLanes } from "./lanes";
import { blocksOf, isQuantized } from "./matrix";
import { madd, sumLanes } from "./simd";

/** Bytes of a header. */
export const HEADER_BYTES: usize = 16;

/** Bytes of 32 columns of quantized x. */
export const PLANES_BYTES: usize = 160;

/** Bytes from row to row of prepared x. */
export function preparedBytes(dtype: i32, columns: u32): usize {
  return HEADER_BYTES + blocksOf(dtype, columns) * <u32>(isQuantized(dtype) ? PLANES_BYTES : 32);
}

/**
 * Prepares a row of `columns` values at `x` at `target`.
 *
 * @param norm_weight Its address, or 0.
 * @param padded Memory for the row as floats, which quantized weights need besides.
 */
export function prepareRow(
  target: usize, x: usize, columns: u32, dtype: i32, norm_weight: usize, eps: f32, padded: usize,
): void {
  const floats = isQuantized(dtype) ? padded : target + HEADER_BYTES;
  const count = blocksOf(dtype, columns) * (isQuantized(dtype) ? 32 : 8);
  let squares = f32x4.splat(0);
  let most = f32x4.splat(0);
  for (let i: u32 = 0; i < count; i += 4) {
    let values = f32x4.splat(0);
    if (i < columns) {
      values = loadLanes(x + (i << 2), columns - i);
      if (norm_weight != 0) {
        squares = madd(values, values, squares);
        values = f32x4.mul(values, loadLanes(norm_weight + (i << 2), columns - i));
      }
    }
    most = f32x4.max(most, f32x4.abs(values));
    v128.store(floats + (i << 2), values);
  }
  let factor: f32 = 1;
  if (norm_weight != 0) factor /= Mathf.sqrt(sumLanes(squares) / <f32>columns + eps);
  if (dtype == WeightDType.f16 || isQuantized(dtype)) {
    most = f32x4.max(most, i8x16.shuffle(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const bits = reinterpret<u32>(max<f32>(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)));
    const exponent = bits >> 23;
    factor *= dtype == WeightDType.f16
      ? scaleRow(floats, count, exponent)
      : splitRow(floats, target + HEADER_BYTES, count, exponent);
    // In fixed point there is no NaN.
    if (isQuantized(dtype) && exponent == 255) factor = NaN;
  }
  store<f32>(target, factor);
}

/** 2^(biased - 127) */
// @ts-ignore: decorator
@inline
function powerOfTwo(biased: u32): f32 {
  return reinterpret<f32>(biased << 23);
}

/** Brings the largest value to about 2^112, and returns the factor for the sums. */
function scaleRow(floats: usize, count: u32, exponent: u32): f32 {
  const biased = min<u32>(max<u32>(366 - exponent, 112), 253);
  const scale = f32x4.splat(powerOfTwo(biased));
  for (let i: usize = 0; i < <usize>count * 4; i += 16) {
    v128.store(floats + i, f32x4.mul(v128.load(floats + i), scale));
  }
  return powerOfTwo(366 - biased);
}

/** Splits values into planes, and returns the factor for the sums. */
function splitRow(floats: usize, planes: usize, count: u32, exponent: u32): f32 {
  // The largest becomes less than 2^15.
  const biased = min<u32>(268 - exponent, 253);
  const scale = f32x4.splat(powerOfTwo(biased));
  const end = floats + <usize>count * 4;
  while (floats < end) {
    let upperSums = i32x4.splat(0);
    let lowerSums = i32x4.splat(0);
    for (let i: usize = 0; i < 4; i++) {
      const a = f32x4.mul(v128.load(floats), scale);
      const b = f32x4.mul(v128.load(floats, 16), scale);
      const upper = i16x8.narrow_i32x4_s(rounded(a), rounded(b));
      const lower = i16x8.narrow_i32x4_s(
        rest(a, i32x4.extend_low_i16x8_s(upper)), rest(b, i32x4.extend_high_i16x8_s(upper)),
      );
      v128.store(planes + i * 16, upper);
      v128.store(planes + i * 16, lower, 64);
      upperSums = i32x4.add(upperSums, i32x4.dot_i16x8_s(upper, i16x8.splat(-8)));
      lowerSums = i32x4.add(lowerSums, i32x4.dot_i16x8_s(lower, i16x8.splat(-8)));
      floats += 32;
    }
    v128.store(planes, upperSums, 128);
    v128.store(planes, lowerSums, 144);
    planes += PLANES_BYTES;
  }
  return powerOfTwo(254 - biased);
}

// @ts-ignore: decorator
@inline
function rounded(values: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(values));
}

/** What `upper` leaves of `values`, in units of 2^-15. */
// @ts-ignore: decorator
@inline
function rest(values: v128, upper: v128): v128 {
  return rounded(f32x4.mul(f32x4.sub(values, f32x4.convert_i32x4_s(upper)), f32x4.splat(32768)));
}
