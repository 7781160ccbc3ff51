// column_sum: y[d] = the sum of x[row, d] over rows, in their order; y[d] += with `adds`.
// Items: blocks of 16 columns, a cache line of each row.
// Arguments: x, from row to row of x in elements, y, rows, columns, adds

import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";

const COLUMNS: u32 = 16;

export function columnSum(rec: usize, begin: u32, end: u32): void {
  const columns = arg(rec, 4);
  for (let item = begin; item < end; item++) {
    const first = item * COLUMNS;
    const last = min(first + COLUMNS, columns);
    for (let d = first; d < last; d += 4) {
      sumRows(arg(rec, 0) + d * 4, arg(rec, 1) * 4, arg(rec, 2) + d * 4, arg(rec, 3), last - d, arg(rec, 5) != 0);
    }
  }
}

/** y = the sum of `rows` vectors of `count` elements, `ld` bytes apart; y += with `adds`. */
export function sumRows(x: usize, ld: usize, y: usize, rows: u32, count: u32, adds: bool): void {
  let sum = f32x4.splat(0);
  for (let row: u32 = 0; row < rows; row++, x += ld) sum = f32x4.add(sum, loadLanes(x, count));
  storeLanes(y, count, adds ? f32x4.add(sum, loadLanes(y, count)) : sum);
}
