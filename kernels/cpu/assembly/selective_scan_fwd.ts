// selective_scan_fwd: the Mamba-1 recurrence over a sequence, from any state, with skip and gate.
//   dt = softplus(dt_raw)      A = -exp(A_log); for the rest see selective_scan
// Items: blocks of 16 channels of a sequence.
// Arguments: u (batch, seqlen, d_inner), dt_raw of that shape, B in the first row of x_dbl, from row to row of x_dbl, z
//   in the first row of xz, from row to row of xz, A_log, D, ssm_state, y, seqlen, d_inner, d_state, rates of A_log or 0,
//   steps from one kept state to the next or 0
// States that are kept, for the backward, lie side by side: ssm_state (batch, chunks + 1, d_inner, d_state), the first
// that before the sequence, the last that after it.
// Scratch: a line, the states and the rates of a block

import { threadScratch } from "./control";
import { arg } from "./record";
import {
  beginBlock, blockStateBytes, CHANNELS, endBlock, LINE_BYTES, makeRates, scanBlock, turnState, turnStateBack,
} from "./selective_scan";

export function selectiveScanFwd(rec: usize, begin: u32, end: u32): void {
  const ldDbl: usize = arg(rec, 3) * 4;
  const ldXz: usize = arg(rec, 5) * 4;
  const seqlen = arg(rec, 10);
  const d_inner = arg(rec, 11);
  const d_state = arg(rec, 12);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const chunk = arg(rec, 14);
  const slots = chunk == 0 ? 1 : (seqlen + chunk - 1) / chunk + 1;
  const size = blockStateBytes(d_state);
  const line = threadScratch();
  const states = line + LINE_BYTES;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    let ssm_state = arg(rec, 8) + (b * slots * d_inner + d) * d_state * 4;
    turnState(ssm_state, states, count, d_state);
    let rates: usize = arg(rec, 13) + item % blocks * size;
    if (arg(rec, 13) == 0) {
      rates = states + size;
      makeRates(arg(rec, 6) + d * d_state * 4, rates, count, d_state);
    }
    const D = arg(rec, 7) + d * 4;
    let B = arg(rec, 2) + b * seqlen * ldDbl;
    let z = arg(rec, 4) + b * seqlen * ldXz + d * 4;
    let row: usize = (b * seqlen * d_inner + d) * 4;
    let border = chunk;
    for (let t: u32 = 0; t < seqlen; t++, row += d_inner * 4, B += ldDbl, z += ldXz) {
      beginBlock(line, arg(rec, 1) + row, arg(rec, 0) + row, D, count);
      scanBlock(states, states, 0, rates, d_state, B, line);
      endBlock(line, z, arg(rec, 9) + row, count);
      if (t + 1 == border && border < seqlen) {
        border += chunk;
        ssm_state += d_inner * d_state * 4;
        turnStateBack(states, ssm_state, count, d_state);
      }
    }
    if (chunk != 0) ssm_state += d_inner * d_state * 4;
    turnStateBack(states, ssm_state, count, d_state);
  }
}
