// Products of complex numbers of four channels, whose real and imaginary parts are vectors apart.

import { madd } from "./simd";

/** The real part of a b. */
// @ts-ignore: decorator
@inline
export function mulRe(a_re: v128, a_im: v128, b_re: v128, b_im: v128): v128 {
  return madd(f32x4.neg(a_im), b_im, f32x4.mul(a_re, b_re));
}

/** The imaginary part of a b. */
// @ts-ignore: decorator
@inline
export function mulIm(a_re: v128, a_im: v128, b_re: v128, b_im: v128): v128 {
  return madd(a_im, b_re, f32x4.mul(a_re, b_im));
}

/** The real part of conj(a) b, which is the product of both as vectors. */
// @ts-ignore: decorator
@inline
export function conjRe(a_re: v128, a_im: v128, b_re: v128, b_im: v128): v128 {
  return madd(a_im, b_im, f32x4.mul(a_re, b_re));
}

/** The imaginary part of conj(a) b. */
// @ts-ignore: decorator
@inline
export function conjIm(a_re: v128, a_im: v128, b_re: v128, b_im: v128): v128 {
  return madd(f32x4.neg(a_im), b_re, f32x4.mul(a_re, b_im));
}
