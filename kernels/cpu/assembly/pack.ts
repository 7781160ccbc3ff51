// Rows as a checkpoint has them, into panels: see matrix.ts.

import { WeightDType } from "../weight_dtype";
import { blockBytes, blocksOf, floatOfF16, panelBytes } from "./matrix";

/** Packs `rows` rows of `columns` elements or codes, which lie at `source` back to back, from row `rowStart` on. */
export function packRows(source: usize, matrix: usize, dtype: i32, rowStart: u32, rows: u32, columns: u32): void {
  const bytes = panelBytes(dtype, columns);
  for (let row = rowStart; row < rowStart + rows; row++) {
    const target = matrix + <usize>(row >> 2) * bytes;
    switch (dtype) {
      case WeightDType.f32:
        packF32(source, target + (row & 3) * 32, columns);
        source += columns * 4;
        break;
      case WeightDType.int8:
        packInt8(source, target + (row & 3) * 32, blocksOf(dtype, columns));
        source += blocksOf(dtype, columns) * 32;
        break;
      case WeightDType.int4:
        packInt4(source, target + (row & 3) * 16, blocksOf(dtype, columns));
        source += blocksOf(dtype, columns) * 16;
        break;
      default:
        pack16(source, target + (row & 3) * 16, columns);
        source += columns * 2;
    }
  }
}

/** Packs the scales of rows, f16 of which each row has one a group. */
export function packScales(source: usize, matrix: usize, dtype: i32, rowStart: u32, rows: u32, columns: u32): void {
  const groups = blocksOf(dtype, columns);
  const step = blockBytes(dtype);
  for (let row = rowStart; row < rowStart + rows; row++) {
    let target = matrix + <usize>(row >> 2) * panelBytes(dtype, columns) + step - 16 + (row & 3) * 4;
    for (let group: u32 = 0; group < groups; group++) {
      store<f32>(target, floatOfF16(load<u16>(source)));
      source += 2;
      target += step;
    }
  }
}

function packF32(source: usize, target: usize, columns: u32): void {
  const end = source + (columns & ~7) * 4;
  while (source < end) {
    v128.store(target, v128.load(source));
    v128.store(target, v128.load(source, 16), 16);
    source += 32;
    target += 128;
  }
  if ((columns & 7) != 0) memory.copy(target, source, (columns & 7) * 4);
}

function pack16(source: usize, target: usize, columns: u32): void {
  const end = source + (columns & ~7) * 2;
  while (source < end) {
    const words = v128.load(source);
    v128.store(target, i8x16.shuffle(words, words, 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    source += 16;
    target += 64;
  }
  for (let column: u32 = 0; column < (columns & 7); column++) {
    store<u16>(target + (column & 3) * 4 + (column >> 2) * 2, load<u16>(source + column * 2));
  }
}

function packInt8(source: usize, target: usize, groups: u32): void {
  for (let group: u32 = 0; group < groups; group++) {
    v128.store(target, v128.load(source));
    v128.store(target, v128.load(source, 16), 16);
    source += 32;
    target += 144;
  }
}

// Of four bytes of the source, byte i holds codes i and i + 4 of eight.
function packInt4(source: usize, target: usize, groups: u32): void {
  const low4 = i8x16.splat(0x0f);
  for (let group: u32 = 0; group < groups; group++) {
    const bytes = v128.load(source);
    const low = v128.and(bytes, low4);
    const high = v128.and(i16x8.shr_u(bytes, 4), low4);
    const even = i8x16.shuffle(low, high, 0, 8, 1, 9, 2, 10, 3, 11, 16, 24, 17, 25, 18, 26, 19, 27);
    const odd = i8x16.shuffle(low, high, 4, 12, 5, 13, 6, 14, 7, 15, 20, 28, 21, 29, 22, 30, 23, 31);
    v128.store(target, v128.or(even, i16x8.shl(odd, 4)));
    source += 16;
    target += 80;
  }
}
