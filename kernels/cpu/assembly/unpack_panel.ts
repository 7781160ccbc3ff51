// A panel of any dtype as a panel of f32: for a matmul, which uses it for many rows of x.

import { WeightDType } from "../weight_dtype";

/** Unpacks `blocks` blocks of a panel at `source`, each into what f32 has for its columns. */
export function unpackPanel(source: usize, target: usize, dtype: i32, blocks: u32): void {
  switch (dtype) {
    case WeightDType.f16:
      return unpackF16(source, target, blocks);
    case WeightDType.bf16:
      return unpackBf16(source, target, blocks);
    case WeightDType.int8:
      return unpackInt8(source, target, blocks);
    case WeightDType.int4:
      return unpackInt4(source, target, blocks);
    default:
      unreachable();
  }
}

function unpackF16(source: usize, target: usize, blocks: u32): void {
  const mask = i32x4.splat(0x8fffe000);
  // 2^112, for the exponent's bias.
  const scale = i32x4.splat(0x77800000);
  const end = source + <usize>blocks * 64;
  for (; source < end; source += 16) {
    const words = v128.load(source);
    v128.store(target, f32x4.mul(v128.and(i32x4.shr_s(i32x4.shl(words, 16), 3), mask), scale));
    v128.store(target, f32x4.mul(v128.and(i32x4.shr_s(words, 3), mask), scale), 16);
    target += 32;
  }
}

function unpackBf16(source: usize, target: usize, blocks: u32): void {
  const upper = i32x4.splat(0xffff0000);
  const end = source + <usize>blocks * 64;
  for (; source < end; source += 16) {
    const words = v128.load(source);
    v128.store(target, i32x4.shl(words, 16));
    v128.store(target, v128.and(words, upper), 16);
    target += 32;
  }
}

/** Eight codes of a row as floats. */
// @ts-ignore: decorator
@inline
function store8(target: usize, codes: v128, scale: v128): void {
  v128.store(target, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes)), scale));
  v128.store(target, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes)), scale), 16);
}

function unpackInt8(source: usize, target: usize, blocks: u32): void {
  for (let block: u32 = 0; block < blocks; block++) {
    for (let row: usize = 0; row < 4; row++) {
      const scale = v128.load32_splat(source + row * 4, 128);
      const codes = source + row * 32;
      const floats = target + row * 32;
      store8(floats, v128.load8x8_s(codes), scale);
      store8(floats + 128, v128.load8x8_s(codes, 8), scale);
      store8(floats + 256, v128.load8x8_s(codes, 16), scale);
      store8(floats + 384, v128.load8x8_s(codes, 24), scale);
    }
    source += 144;
    target += 512;
  }
}

function unpackInt4(source: usize, target: usize, blocks: u32): void {
  const low4 = i16x8.splat(15);
  const moved = i16x8.splat(8);
  for (let block: u32 = 0; block < blocks; block++) {
    for (let row: usize = 0; row < 4; row++) {
      const scale = v128.load32_splat(source + row * 4, 64);
      const words = v128.load(source + row * 16);
      const floats = target + row * 32;
      store8(floats, i16x8.sub(v128.and(words, low4), moved), scale);
      store8(floats + 128, i16x8.sub(v128.and(i16x8.shr_u(words, 4), low4), moved), scale);
      store8(floats + 256, i16x8.sub(v128.and(i16x8.shr_u(words, 8), low4), moved), scale);
      store8(floats + 384, i16x8.sub(i16x8.shr_u(words, 12), moved), scale);
    }
    source += 80;
    target += 512;
  }
}
