// selective_scan_fwd: the Mamba-1 recurrence over a sequence, from any state, with skip and gate.
//   dt = softplus(dt_raw)      A = -exp(A_log); for the rest see selective_scan
// Items: blocks of 16 channels of a sequence.
// Arguments: u (batch, seqlen, d_inner), dt_raw of that shape, B in the first row of x_dbl, from row to row of x_dbl, z
//   in the first row of xz, from row to row of xz, A_log, D, ssm_state, y, seqlen, d_inner, d_state
// Scratch: 34 rows of states

import { threadScratch } from "./control";
import { loadLanes } from "./lanes";
import { arg } from "./record";
import { CHANNELS, padRows, prepareA, rowBytes, scanFour, unpadRows } from "./selective_scan";

export function selectiveScanFwd(rec: usize, begin: u32, end: u32): void {
  const ldDbl: usize = arg(rec, 3) * 4;
  const ldXz: usize = arg(rec, 5) * 4;
  const seqlen = arg(rec, 10);
  const d_inner = arg(rec, 11);
  const d_state = arg(rec, 12);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const ld = rowBytes(d_state);
  const A = threadScratch();
  const h = A + CHANNELS * ld;
  const padded = h + CHANNELS * ld;
  // Rows past the last channel's are computed too, from zeros: what is not a number would cost time.
  memory.fill(A, 0, 2 * CHANNELS * ld);
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const state = arg(rec, 8) + (b * d_inner + d) * d_state * 4;
    prepareA(arg(rec, 6) + d * d_state * 4, A, count, d_state);
    padRows(state, h, count, d_state);
    let row: usize = (b * seqlen * d_inner + d) * 4;
    let B: usize = arg(rec, 2) + b * seqlen * ldDbl;
    let z: usize = arg(rec, 4) + b * seqlen * ldXz + d * 4;
    const D: usize = arg(rec, 7) + d * 4;
    for (let t: u32 = 0; t < seqlen; t++, row += d_inner * 4, B += ldDbl, z += ldXz) {
      let own = B;
      let C = B + d_state * 4;
      if (d_state % 4 != 0) {
        padRows(B, padded, 2, d_state);
        own = padded;
        C = padded + ld;
      }
      for (let c: u32 = 0; c < count; c += 4) {
        const at = row + c * 4;
        const left = count - c;
        scanFour(
          loadLanes(arg(rec, 1) + at, left),
          arg(rec, 0) + at,
          z + c * 4,
          D + c * 4,
          arg(rec, 9) + at,
          left,
          A + c * ld,
          h + c * ld,
          ld,
          own,
          C,
        );
      }
    }
    unpadRows(h, state, count, d_state);
  }
}
