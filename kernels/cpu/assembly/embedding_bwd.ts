// embedding_bwd: grad_weight[id] = the sum of grad_y[row] over the rows with that id, in their order; += with `adds`.
// Items: blocks of 16 columns of the table, so that no two threads have a row's sum and nobody looks for its rows. What
// pads the table's rows is left as it is.
// Arguments: ids, grad_y, grad_weight, from row to row of grad_weight in elements, rows, d_model, vocab_size, adds

import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";

const COLUMNS: u32 = 16;

export function embeddingBwd(rec: usize, begin: u32, end: u32): void {
  const ld: usize = arg(rec, 3) * 4;
  const d_model = arg(rec, 5);
  const vocab_size = arg(rec, 6);
  for (let item = begin; item < end; item++) {
    const first = item * COLUMNS;
    const columns = min(COLUMNS, d_model - first);
    const grad_weight = arg(rec, 2) + first * 4;
    if (arg(rec, 7) == 0) {
      for (let id: u32 = 0; id < vocab_size; id++) memory.fill(grad_weight + id * ld, 0, columns * 4);
    }
    for (let row: u32 = 0; row < arg(rec, 4); row++) {
      const id = load<u32>(arg(rec, 0) + row * 4);
      if (id >= vocab_size) continue;
      const grad_y = arg(rec, 1) + (row * d_model + first) * 4;
      const sums = grad_weight + id * ld;
      for (let d: u32 = 0; d < columns; d += 4) {
        const left = columns - d;
        const at: usize = d * 4;
        storeLanes(sums + at, left, f32x4.add(loadLanes(sums + at, left), loadLanes(grad_y + at, left)));
      }
    }
  }
}
