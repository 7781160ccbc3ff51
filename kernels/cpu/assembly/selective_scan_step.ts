// selective_scan_step: dt_proj and the Mamba-1 recurrence for a single step, with skip and gate.
//   dt = softplus(dt_weight dt_low + dt_bias)      A = -exp(A_log); for the rest see selective_scan
// Items: blocks of 16 channels of a batch entry.
// Arguments: xz (batch, 2 d_inner): u, then z; x_dbl (batch, dt_rank + 2 d_state): dt_low, B, C; dt_weight, dtype,
//   dt_bias, A_log, D, ssm_state, y, d_inner, d_state, dt_rank, rates of A_log or 0
// Scratch: a prepared dt_low, a line, the states and the rates of a block

import { threadScratch } from "./control";
import { loadLanes } from "./lanes";
import { blocksOf, PANEL_ROWS, panelBytes } from "./matrix";
import { dotPanel } from "./matvec_panel";
import { HEADER_BYTES, preparedBytes, prepareRow } from "./matvec_prepare";
import { arg } from "./record";
import {
  beginBlock, blockStateBytes, CHANNELS, endBlock, LINE_BYTES, makeRates, scanBlock, turnState, turnStateBack,
} from "./selective_scan";
import { madd } from "./simd";

export function selectiveScanStep(rec: usize, begin: u32, end: u32): void {
  const dtype = <i32>arg(rec, 3);
  const d_inner = arg(rec, 9);
  const d_state = arg(rec, 10);
  const dt_rank = arg(rec, 11);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const panel = panelBytes(dtype, dt_rank);
  const size = blockStateBytes(d_state);
  const dt_low = threadScratch();
  const line = dt_low + preparedBytes(dtype, dt_rank);
  const states = line + LINE_BYTES;
  let prepared: u32 = -1;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const x_dbl = arg(rec, 1) + b * (dt_rank + 2 * d_state) * 4;
    if (b != prepared) prepareRow(dt_low, x_dbl, dt_rank, dtype, 0, 0, 0);
    prepared = b;
    const factor = v128.load32_splat(dt_low);
    const ssm_state = arg(rec, 7) + (b * d_inner + d) * d_state * 4;
    turnState(ssm_state, states, count, d_state);
    let rates: usize = arg(rec, 12) + item % blocks * size;
    if (arg(rec, 12) == 0) {
      rates = states + size;
      makeRates(arg(rec, 5) + d * d_state * 4, rates, count, d_state);
    }
    const u = arg(rec, 0) + (2 * b * d_inner + d) * 4;
    const y = arg(rec, 8) + (b * d_inner + d) * 4;
    for (let c: u32 = 0; c < count; c += 4) {
      const left = count - c;
      const at: usize = c * 4;
      const weight = arg(rec, 2) + (d + c) / PANEL_ROWS * panel;
      const product = dotPanel(weight, dt_low + HEADER_BYTES, dtype, blocksOf(dtype, dt_rank));
      const dt = madd(product, factor, loadLanes(arg(rec, 4) + d * 4 + at, left));
      v128.store(line + at, dt);
    }
    beginBlock(line, line, u, arg(rec, 6) + d * 4, count);
    scanBlock(states, states, 0, rates, d_state, x_dbl + dt_rank * 4, line);
    endBlock(line, u + d_inner * 4, y, count);
    turnStateBack(states, ssm_state, count, d_state);
  }
}
