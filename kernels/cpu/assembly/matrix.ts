// Weight matrices: panels of 4 rows, interleaved so that a panel is read from its first byte to its last.
//   f32          blocks of 8 columns: 4 x 8 floats
//   f16, bf16    the same of 16-bit words, in the order 0 4 1 5 2 6 3 7, so that the lower halves of four 32-bit lanes
//                are columns 0 to 3 and the upper halves columns 4 to 7
//   int8         blocks of 32 columns: 4 x 32 codes, then 4 scales as f32
//   int4         blocks of 32 columns: 4 x 8 16-bit words, then 4 scales; word i holds codes i, 8 + i, 16 + i and 24 + i
//                from its lowest bits up, each moved by 8 to be positive
// What pads rows to 4 and columns to whole blocks is zero, or has a scale of zero.

import { WeightDType } from "../weight_dtype";

/** Rows of a panel. */
export const PANEL_ROWS: u32 = 4;

/** Columns of a row of int8 or int4 weights that share a scale. */
export const QUANT_GROUP: u32 = 32;

// @ts-ignore: decorator
@inline
export function isQuantized(dtype: i32): bool {
  return dtype >= WeightDType.int8;
}

/** Columns of a block. */
export function blockColumns(dtype: i32): u32 {
  return isQuantized(dtype) ? QUANT_GROUP : 8;
}

/** Bytes of a block of a panel. */
export function blockBytes(dtype: i32): u32 {
  switch (dtype) {
    case WeightDType.f32:
      return 128;
    case WeightDType.int8:
      return 144;
    case WeightDType.int4:
      return 80;
    default:
      return 64;
  }
}

/** Blocks of a row. */
export function blocksOf(dtype: i32, columns: u32): u32 {
  const width = blockColumns(dtype);
  return (columns + width - 1) / width;
}

/** Bytes from panel to panel. */
export function panelBytes(dtype: i32, columns: u32): u32 {
  return blocksOf(dtype, columns) * blockBytes(dtype);
}

/** f16 to f32, exactly. */
// @ts-ignore: decorator
@inline
export function floatOfF16(bits: u32): f32 {
  // The exponent's bias is made up for by a factor, which is exact for subnormal numbers too.
  const magnitude = reinterpret<f32>((bits & 0x7fff) << 13) * reinterpret<f32>(0x77800000);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}
