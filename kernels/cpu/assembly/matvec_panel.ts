// The products of a panel's four rows with a prepared row of x (see matvec_prepare.ts): a function a dtype. Each reads
// the panel from its first byte to its last, and adds a row up in an order that depends on nothing else.

import { WeightDType } from "../weight_dtype";
import { madd, sumLanes4 } from "./simd";

/** What loops take from memory once: as literals they would be made anew each time around. */
const CONSTANTS = memory.data<u32>([0x8fffe000, 0xffff0000, 0x38000000, 0x000f000f], 16);

// @ts-ignore: decorator
@inline
function constant(index: usize): v128 {
  return v128.load32_splat(CONSTANTS + (index << 2));
}

/** Four sums, as four lanes, before the header's factor. `x` is what follows the header. */
export function dotPanel(panel: usize, x: usize, dtype: i32, blocks: u32): v128 {
  switch (dtype) {
    case WeightDType.f32:
      return dotF32(panel, x, blocks);
    case WeightDType.f16:
      return dotF16(panel, x, blocks);
    case WeightDType.bf16:
      return dotBf16(panel, x, blocks);
    case WeightDType.int8:
      return dotInt8(panel, x, blocks);
    default:
      return dotInt4(panel, x, blocks);
  }
}

function dotF32(panel: usize, x: usize, blocks: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  const end = panel + <usize>blocks * 128;
  while (panel < end) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    a = madd(v128.load(panel), x0, a);
    a1 = madd(v128.load(panel, 16), x1, a1);
    b = madd(v128.load(panel, 32), x0, b);
    b1 = madd(v128.load(panel, 48), x1, b1);
    c = madd(v128.load(panel, 64), x0, c);
    c1 = madd(v128.load(panel, 80), x1, c1);
    d = madd(v128.load(panel, 96), x0, d);
    d1 = madd(v128.load(panel, 112), x1, d1);
    panel += 128;
    x += 32;
  }
  return sumLanes4(f32x4.add(a, a1), f32x4.add(b, b1), f32x4.add(c, c1), f32x4.add(d, d1));
}

// Bits of an f16, moved by 3 to the right from the top of a float, are its value times 2^-112: subnormal values too.

// @ts-ignore: decorator
@inline
function lowerF16(words: v128, mask: v128): v128 {
  return v128.and(i32x4.shr_s(i32x4.shl(words, 16), 3), mask);
}

// @ts-ignore: decorator
@inline
function upperF16(words: v128, mask: v128): v128 {
  return v128.and(i32x4.shr_s(words, 3), mask);
}

function dotF16(panel: usize, x: usize, blocks: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  const mask = constant(0);
  const end = panel + <usize>blocks * 64;
  while (panel < end) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const wa = v128.load(panel);
    a = madd(lowerF16(wa, mask), x0, a);
    a1 = madd(upperF16(wa, mask), x1, a1);
    const wb = v128.load(panel, 16);
    b = madd(lowerF16(wb, mask), x0, b);
    b1 = madd(upperF16(wb, mask), x1, b1);
    const wc = v128.load(panel, 32);
    c = madd(lowerF16(wc, mask), x0, c);
    c1 = madd(upperF16(wc, mask), x1, c1);
    const wd = v128.load(panel, 48);
    d = madd(lowerF16(wd, mask), x0, d);
    d1 = madd(upperF16(wd, mask), x1, d1);
    panel += 64;
    x += 32;
  }
  return sumLanes4(f32x4.add(a, a1), f32x4.add(b, b1), f32x4.add(c, c1), f32x4.add(d, d1));
}

function dotBf16(panel: usize, x: usize, blocks: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  const upper = constant(1);
  const end = panel + <usize>blocks * 64;
  while (panel < end) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const wa = v128.load(panel);
    a = madd(i32x4.shl(wa, 16), x0, a);
    a1 = madd(v128.and(wa, upper), x1, a1);
    const wb = v128.load(panel, 16);
    b = madd(i32x4.shl(wb, 16), x0, b);
    b1 = madd(v128.and(wb, upper), x1, b1);
    const wc = v128.load(panel, 32);
    c = madd(i32x4.shl(wc, 16), x0, c);
    c1 = madd(v128.and(wc, upper), x1, c1);
    const wd = v128.load(panel, 48);
    d = madd(i32x4.shl(wd, 16), x0, d);
    d1 = madd(v128.and(wd, upper), x1, d1);
    panel += 64;
    x += 32;
  }
  return sumLanes4(f32x4.add(a, a1), f32x4.add(b, b1), f32x4.add(c, c1), f32x4.add(d, d1));
}

/** sum + scale (upper + 2^-15 lower): the exact integers of a group, rounded once each. */
// @ts-ignore: decorator
@inline
function addGroup(sum: v128, upper: v128, lower: v128, unit: v128, scale: usize): v128 {
  const whole = madd(f32x4.convert_i32x4_s(lower), unit, f32x4.convert_i32x4_s(upper));
  return madd(whole, v128.load32_splat(scale), sum);
}

/** The products of 32 weights, in four vectors, with a plane. */
// @ts-ignore: decorator
@inline
function dot32(w0: v128, w1: v128, w2: v128, w3: v128, plane: usize): v128 {
  return i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(w0, v128.load(plane)), i32x4.dot_i16x8_s(w1, v128.load(plane, 16))),
    i32x4.add(i32x4.dot_i16x8_s(w2, v128.load(plane, 32)), i32x4.dot_i16x8_s(w3, v128.load(plane, 48))),
  );
}

// @ts-ignore: decorator
@inline
function int8Row(sum: v128, codes: usize, scale: usize, x: usize, unit: v128): v128 {
  const w0 = v128.load8x8_s(codes);
  const w1 = v128.load8x8_s(codes, 8);
  const w2 = v128.load8x8_s(codes, 16);
  const w3 = v128.load8x8_s(codes, 24);
  return addGroup(sum, dot32(w0, w1, w2, w3, x), dot32(w0, w1, w2, w3, x + 64), unit, scale);
}

function dotInt8(panel: usize, x: usize, blocks: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const unit = constant(2);
  const end = panel + <usize>blocks * 144;
  while (panel < end) {
    a = int8Row(a, panel, panel + 128, x, unit);
    b = int8Row(b, panel + 32, panel + 132, x, unit);
    c = int8Row(c, panel + 64, panel + 136, x, unit);
    d = int8Row(d, panel + 96, panel + 140, x, unit);
    panel += 144;
    x += 160;
  }
  return sumLanes4(a, b, c, d);
}

// @ts-ignore: decorator
@inline
function int4Row(sum: v128, codes: usize, scale: usize, x: usize, unit: v128, low4: v128): v128 {
  const words = v128.load(codes);
  const w0 = v128.and(words, low4);
  const w1 = v128.and(i16x8.shr_u(words, 4), low4);
  const w2 = v128.and(i16x8.shr_u(words, 8), low4);
  const w3 = i16x8.shr_u(words, 12);
  // Codes are 8 too large.
  const upper = i32x4.add(dot32(w0, w1, w2, w3, x), v128.load(x, 128));
  const lower = i32x4.add(dot32(w0, w1, w2, w3, x + 64), v128.load(x, 144));
  return addGroup(sum, upper, lower, unit, scale);
}

function dotInt4(panel: usize, x: usize, blocks: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const unit = constant(2);
  const low4 = constant(3);
  const end = panel + <usize>blocks * 80;
  while (panel < end) {
    a = int4Row(a, panel, panel + 64, x, unit, low4);
    b = int4Row(b, panel + 16, panel + 68, x, unit, low4);
    c = int4Row(c, panel + 32, panel + 72, x, unit, low4);
    d = int4Row(d, panel + 48, panel + 76, x, unit, low4);
    panel += 80;
    x += 160;
  }
  return sumLanes4(a, b, c, d);
}
