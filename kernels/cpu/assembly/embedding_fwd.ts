// embedding_fwd: y[b, t] = weight[ids[b, t]], and the ids are noted as seen (for the repetition penalty).
//   seen[b]   a bitmap of ids, of seen_words words; 0 where absent.
// Items: sequences b, as two steps of one may note ids in the same word.
// Arguments: ids, weight, y, seen, dtype, d_model, seqlen, seen_words

import { WeightDType } from "../weight_dtype";
import { blockBytes, blocksOf, floatOfF16, panelBytes } from "./matrix";
import { arg } from "./record";

export function embeddingFwd(rec: usize, begin: u32, end: u32): void {
  const dtype = <i32>arg(rec, 4);
  const d_model = arg(rec, 5);
  const seqlen = arg(rec, 6);
  for (let b = begin; b < end; b++) {
    for (let t: u32 = 0; t < seqlen; t++) {
      const row = b * seqlen + t;
      const id = load<u32>(arg(rec, 0) + (row << 2));
      const panel = arg(rec, 1) + <usize>(id >> 2) * panelBytes(dtype, d_model);
      unpackRow(panel, id & 3, dtype, d_model, arg(rec, 2) + row * d_model * 4);
      if (arg(rec, 3) == 0) continue;
      const word = arg(rec, 3) + (b * arg(rec, 7) + (id >> 5)) * 4;
      store<u32>(word, load<u32>(word) | (1 << (id & 31)));
    }
  }
}

/** Row `lane` of a panel, as floats. */
function unpackRow(panel: usize, lane: u32, dtype: i32, columns: u32, target: usize): void {
  const step = blockBytes(dtype);
  let block = panel;
  if (dtype == WeightDType.f32) {
    for (let column: u32 = 0; column < columns; column += 8) {
      memory.copy(target + column * 4, block + lane * 32, min<u32>(8, columns - column) * 4);
      block += step;
    }
    return;
  }
  for (let column: u32 = 0; column < columns; column++) {
    store<f32>(target + column * 4, element(panel, lane, dtype, column, step));
  }
}

/** One element of a row that is not f32: see matrix.ts. */
function element(panel: usize, lane: u32, dtype: i32, column: u32, step: u32): f32 {
  if (dtype == WeightDType.f16 || dtype == WeightDType.bf16) {
    const pair = panel + (column >> 3) * step + lane * 16 + (column & 3) * 4;
    const bits = <u32>load<u16>(pair + ((column >> 2) & 1) * 2);
    return dtype == WeightDType.f16 ? floatOfF16(bits) : reinterpret<f32>(bits << 16);
  }
  const block = panel + (column >> 5) * step;
  const scale = load<f32>(block + step - 16 + lane * 4);
  const place = column & 31;
  if (dtype == WeightDType.int8) return <f32>load<i8>(block + lane * 32 + place) * scale;
  const word = <u32>load<u16>(block + lane * 16 + (place & 7) * 2);
  return <f32>(<i32>((word >> ((place >> 3) * 4)) & 15) - 8) * scale;
}
