// sum_partials: y[i] = the sum of partials[part, i] over parts, in their order; y[i] += with `adds`.
// Items: blocks of 64 elements.
// Arguments: partials (parts, size), y, parts, size, adds

import { sumRows } from "./column_sum";
import { arg } from "./record";

const BLOCK: u32 = 64;

export function sumPartials(rec: usize, begin: u32, end: u32): void {
  const size = arg(rec, 3);
  const last = min(end * BLOCK, size);
  for (let i = begin * BLOCK; i < last; i += 4) {
    sumRows(arg(rec, 0) + i * 4, size * 4, arg(rec, 1) + i * 4, arg(rec, 2), last - i, arg(rec, 4) != 0);
  }
}
