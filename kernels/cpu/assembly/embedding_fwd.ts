// embedding_fwd: y[row] = weight[ids[row]], and the ids are noted as seen (for the repetition penalty).
// Items: rows of y, row = b * seqlen + t. Ids that the table has no row for leave theirs alone.
// Arguments (0 where absent): ids, weight, y, seen, dtype, d_model, vocab_size, seqlen, from row to row of weight where its
//   rows lie one after the other
// seen is a bitmap (batch, ceil(vocab_size / 32)).

import { WeightDType } from "../weight_dtype";
import { storeLanes } from "./lanes";
import { blockBytes, PANEL_ROWS, panelBytes } from "./matrix";
import { arg } from "./record";

export function embeddingFwd(rec: usize, begin: u32, end: u32): void {
  const seen = arg(rec, 3);
  const dtype = <i32>arg(rec, 4);
  const d_model = arg(rec, 5);
  const vocab_size = arg(rec, 6);
  const bytes = panelBytes(dtype, d_model);
  for (let row = begin; row < end; row++) {
    const id = load<u32>(arg(rec, 0) + (row << 2));
    if (id >= vocab_size) continue;
    if (seen != 0) {
      const words = (vocab_size + 31) / 32;
      note(seen + ((row / arg(rec, 7)) * words + id / 32) * 4, 1 << (id % 32));
    }
    const ld = arg(rec, 8);
    if (ld != 0) {
      memory.copy(arg(rec, 2) + row * d_model * 4, arg(rec, 1) + id * ld * 4, d_model * 4);
      continue;
    }
    const panel: usize = arg(rec, 1) + id / PANEL_ROWS * bytes;
    readRow(panel, id % PANEL_ROWS, dtype, arg(rec, 2) + row * d_model * 4, d_model);
  }
}

/** Rows of a batch entry share its words, and threads share rows. */
function note(word: usize, bit: u32): void {
  if (ASC_FEATURE_THREADS) atomic.or<u32>(word, bit);
  else store<u32>(word, load<u32>(word) | bit);
}

function readRow(panel: usize, row: usize, dtype: i32, y: usize, d_model: u32): void {
  const step = blockBytes(dtype);
  if (dtype == WeightDType.int8 || dtype == WeightDType.int4) {
    for (let column: u32 = 0; column < d_model; column++) {
      const block = panel + column / 32 * step;
      const place = column % 32;
      const scale = load<f32>(block + step - 16 + row * 4);
      const code = dtype == WeightDType.int8
        ? <i32>load<i8>(block + row * 32 + place)
        : <i32>((load<u16>(block + row * 16 + place % 8 * 2) >> <u16>(place / 8 * 4)) & 15) - 8;
      store<f32>(y + (column << 2), scale * <f32>code);
    }
    return;
  }
  for (let column: u32 = 0; column < d_model; column += 8) {
    let low: v128;
    let high: v128;
    if (dtype == WeightDType.f32) {
      low = v128.load(panel + row * 32);
      high = v128.load(panel + row * 32, 16);
    } else {
      const words = v128.load(panel + row * 16);
      low = dtype == WeightDType.f16 ? floatsOfF16(i32x4.shl(words, 16)) : i32x4.shl(words, 16);
      high = dtype == WeightDType.f16 ? floatsOfF16(words) : v128.and(words, i32x4.splat(0xffff0000));
    }
    storeLanes(y + (column << 2), d_model - column, low);
    if (column + 4 < d_model) storeLanes(y + (column << 2) + 16, d_model - column - 4, high);
    panel += step;
  }
}

/** The f16 in the upper halves of four lanes. */
// @ts-ignore: decorator
@inline
function floatsOfF16(words: v128): v128 {
  const magnitude = v128.and(i32x4.shr_s(words, 3), i32x4.splat(0x8fffe000));
  return f32x4.mul(magnitude, i32x4.splat(0x77800000));
}
