// selective_scan_bwd_sum: the gradients of B and C, from those that selective_scan_bwd left for each block of channels, or
// ssd_bwd for each head of a group.
// Items: rows.
// Arguments: partials (blocks, rows, 2, d_state in whole vectors), B's gradient in the first row, from row to row of it,
//   rows, blocks, d_state, from B's gradient to C's

import { sumRows } from "./column_sum";
import { arg } from "./record";

export function selectiveScanBwdSum(rec: usize, begin: u32, end: u32): void {
  const rows = arg(rec, 3);
  const d_state = arg(rec, 5);
  const half: usize = ((d_state + 3) & ~3) * 4;
  for (let row = begin; row < end; row++) {
    const grad_B = arg(rec, 1) + row * arg(rec, 2) * 4;
    const grad_C = grad_B + arg(rec, 6) * 4;
    const own = arg(rec, 0) + row * 2 * half;
    for (let n: u32 = 0; n < d_state; n += 4) {
      const at: usize = n * 4;
      sumRows(own + at, rows * 2 * half, grad_B + at, arg(rec, 4), d_state - n, false);
      sumRows(own + half + at, rows * 2 * half, grad_C + at, arg(rec, 4), d_state - n, false);
    }
  }
}
