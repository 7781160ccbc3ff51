// scan_rates: what the steps of a Mamba-1 scan need of A_log, once for all of them: see selective_scan.
// Items: blocks of 16 channels.
// Arguments: A_log (d_inner, d_state), rates (blocks, d_state in whole vectors, 16), d_inner, d_state

import { arg } from "./record";
import { blockStateBytes, CHANNELS, makeRates } from "./selective_scan";

export function scanRates(rec: usize, begin: u32, end: u32): void {
  const d_inner = arg(rec, 2);
  const d_state = arg(rec, 3);
  for (let item = begin; item < end; item++) {
    const d = item * CHANNELS;
    const rates = arg(rec, 1) + item * blockStateBytes(d_state);
    makeRates(arg(rec, 0) + d * d_state * 4, rates, min(CHANNELS, d_inner - d), d_state);
  }
}
