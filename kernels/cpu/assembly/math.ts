// What several ops share of mathematics, four lanes at a time. The forms of one number are the lanes' forms, so that the
// same number gives the same bits wherever it stands. Formulas and limits are those of kernels/_math.wgsl.
//
// Constants are read from memory, and spread over the lanes as they are: as literals they take the engine two to five
// instructions each, every time. Measured with exp4() in V8: 1.0 ns an element instead of 2.1. Polynomials are summed up
// in pairs, not one term after the other: a processor finds more to do at once.

import { madd } from "./simd";

/** Of exp: see the polynomial of Moshier's Cephes library, expf, on +- ln 2 / 2. */
const EXP = memory.data<f32>([
  -88.3, 89.0, // limits of the argument
  1.44269504, // 1 / ln 2
  -0.693359375, 2.12194440e-4, // -ln 2 in two parts, the first of nine bits
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
], 16);

/** Of exp2: the limit of the argument, and Cephes' polynomial, exp2f, on +- 1/2. */
const EXP2 = memory.data<f32>([
  -127.0,
  1.535336188e-4, 1.339887440e-3, 9.618437357e-3, 5.550332471e-2, 2.402264791e-1, 6.931472028e-1,
], 16);

/** Of softplus: the series of atanh, from its last term. */
const ATANH = memory.data<f32>([0.07692308, 0.09090909, 0.11111111, 0.14285715, 0.2, 0.33333334], 16);

/** 1, 2, and 1.5 * 2^23, adding which rounds to a whole number, then in the sum's lowest bits. */
const NUMBERS = memory.data<f32>([1.0, 2.0, 12582912.0], 16);

// @ts-ignore: decorator
@inline
function constant(table: usize, index: usize): v128 {
  return v128.load32_splat(table + (index << 2));
}

// @ts-ignore: decorator
@inline
function one(): v128 {
  return constant(NUMBERS, 0);
}

/**
 * exp(x), to 1.1e-7 of it. Above 88.4 infinity and below -87.7 zero: the power of two that ends there is made of the
 * bits of an exponent of 255 or 0.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  // In this order a NaN stays.
  const within = f32x4.pmin(f32x4.pmax(x, constant(EXP, 0)), constant(EXP, 1));
  const whole = constant(NUMBERS, 2);
  const shifted = madd(within, constant(EXP, 2), whole);
  const n = f32x4.sub(shifted, whole);
  const r = madd(n, constant(EXP, 4), madd(n, constant(EXP, 3), within));
  const r2 = f32x4.mul(r, r);
  const high = madd(madd(r, constant(EXP, 5), constant(EXP, 6)), r2, madd(r, constant(EXP, 7), constant(EXP, 8)));
  const low = madd(r, constant(EXP, 9), constant(EXP, 10));
  return timesPowerOf2(madd(madd(high, r2, low), r2, f32x4.add(r, one())), shifted);
}

/** x 2^n, with n in the lowest bits of `shifted`. */
// @ts-ignore: decorator
@inline
function timesPowerOf2(x: v128, shifted: v128): v128 {
  return f32x4.mul(x, i32x4.add(i32x4.shl(shifted, 23), one()));
}

/** 2^x for x <= 0, to 1.7e-7 of it; zero below -126.5. */
// @ts-ignore: decorator
@inline
export function exp2OfNegative4(x: v128): v128 {
  const within = f32x4.pmax(x, constant(EXP2, 0));
  const whole = constant(NUMBERS, 2);
  const shifted = f32x4.add(within, whole);
  const r = f32x4.sub(within, f32x4.sub(shifted, whole));
  const r2 = f32x4.mul(r, r);
  const high = madd(r2, constant(EXP2, 1), madd(r, constant(EXP2, 2), constant(EXP2, 3)));
  const middle = madd(r, constant(EXP2, 4), constant(EXP2, 5));
  const low = madd(r, constant(EXP2, 6), one());
  return timesPowerOf2(madd(madd(high, r2, middle), r2, low), shifted);
}

/** x / (1 + exp(-x)). exp(-x) is infinite far below zero, and x / infinity is the right limit, -0. */
// @ts-ignore: decorator
@inline
export function silu4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(one(), exp4(f32x4.neg(x))));
}

/** 1 / (1 + exp(-x)), which is the derivative of softplus. */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(one(), f32x4.add(one(), exp4(f32x4.neg(x))));
}

/** The derivative of silu, x finite. */
// @ts-ignore: decorator
@inline
export function siluDerivative4(x: v128): v128 {
  const s = sigmoid4(x);
  return f32x4.mul(s, madd(x, f32x4.sub(one(), s), one()));
}

/** log(1 + exp(x)): why without a log, see kernels/_math.wgsl. */
// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  const z = f32x4.div(e, f32x4.add(constant(NUMBERS, 1), e));
  const s = f32x4.mul(z, z);
  const s2 = f32x4.mul(s, s);
  const high = madd(madd(s, constant(ATANH, 0), constant(ATANH, 1)), s2, madd(s, constant(ATANH, 2), constant(ATANH, 3)));
  const low = madd(s, constant(ATANH, 4), constant(ATANH, 5));
  const series = madd(madd(high, s2, low), s, one());
  return madd(f32x4.add(z, z), series, f32x4.pmax(x, f32x4.splat(0.0)));
}

export function exp(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}

export function silu(x: f32): f32 {
  return f32x4.extract_lane(silu4(f32x4.splat(x)), 0);
}

/** The natural logarithm of a positive number that is not denormal, to 1e-7; of others -Infinity, NaN or x itself. */
export function log(x: f32): f32 {
  if (!(x > 0) || x == Infinity) return x == 0 ? -Infinity : x < 0 ? NaN : x;
  // x = 2^n m with m in [1 / sqrt 2, sqrt 2), and log m = 2 atanh((m - 1) / (m + 1)).
  const bits = reinterpret<i32>(x);
  const n = (bits - 0x3f3504f3) >> 23;
  const m = reinterpret<f32>(bits - (n << 23));
  const z = (m - 1) / (m + 1);
  const s = z * z;
  const series = z + z * s * (<f32>0.33333334 + s * (<f32>0.2 + s * (<f32>0.14285715 + s * <f32>0.11111111)));
  const whole = <f32>n;
  return whole * <f32>0.693359375 + (whole * <f32>-2.12194440e-4 + 2 * series);
}
