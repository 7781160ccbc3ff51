// embedding_fwd: y[row] = weight[ids[row]], and the ids are noted as seen (for the repetition penalty).
// Items: rows of y, row = b * seqlen + t.
// Arguments: ids, weight, y, d_model

import { arg } from "./record";

export function embeddingFwd(rec: usize, begin: u32, end: u32): void {
  const ids = arg(rec, 0);
  const weight = arg(rec, 1);
  const y = arg(rec, 2);
  const d_model = arg(rec, 3);
  for (let row = begin; row < end; row++) {
    const id = load<u32>(ids + (row << 2));
    memory.copy(y + row * d_model * 4, weight + id * d_model * 4, d_model * 4);
  }
}
