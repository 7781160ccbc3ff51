// selective_scan_bwd: gradients of selective_scan_fwd, backwards through time from the states that it kept: for the
// formulas see selective_scan_chunk.
// Items: blocks of 16 channels of a sequence, as in the forward. grad_dt replaces dt, grad_u replaces grad_y. Sums over
// more than an item are left as partials: of B and C by block, of A_log and D by sequence.
// Arguments: u, dt_raw, B in the first row of x_dbl, from row to row of x_dbl, z in the first row of xz, from row to row
//   of xz, D, grad_y, grad_z likewise, seqlen, d_inner, d_state, chunk, batch, A_log, ssm_state (batch, chunks + 1, d_inner,
//   d_state), partials of B and C (blocks, batch, seqlen, 2, d_state in whole vectors), of A_log (batch, d_inner, d_state),
//   of D (batch, d_inner), grad_state (batch, d_inner, d_state), whether that holds the gradient of the final state
// Scratch: see selective_scan_chunk

import { threadScratch } from "./control";
import { storeLanes } from "./lanes";
import { arg } from "./record";
import { blockStateBytes, CHANNELS, LINE_BYTES, makeRates, turnState, turnStateBack } from "./selective_scan";
import { chunkBwd, chunkFwd, STEP_BYTES } from "./selective_scan_chunk";

const LN_2: f32 = 0.69314718;

export function selectiveScanBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 9);
  const d_inner = arg(rec, 10);
  const d_state = arg(rec, 11);
  const chunk = arg(rec, 12);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const chunks = (seqlen + chunk - 1) / chunk;
  const size = blockStateBytes(d_state);
  const rates = threadScratch();
  const carry = rates + size;
  const A_sums = carry + size;
  const BC_sums = A_sums + size;
  const D_sums = BC_sums + size / 2;
  const states = D_sums + STEP_BYTES;
  const scratchEnd = states + (2 * chunk + 1) * size + chunk * LINE_BYTES;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const channel: usize = b * d_inner + d;
    const grad_state = arg(rec, 19) + channel * d_state * 4;
    // What is of no channel must not reach the sums over channels.
    if (count < CHANNELS) memory.fill(rates, 0, scratchEnd - rates);
    makeRates(arg(rec, 14) + d * d_state * 4, rates, count, d_state);
    memory.fill(carry, 0, states - carry);
    if (arg(rec, 20) != 0) turnState(grad_state, carry, count, d_state);
    for (let after = chunks; after > 0; after--) {
      const first = (after - 1) * chunk;
      const length = min(chunk, seqlen - first);
      const row = b * seqlen + first;
      const kept = arg(rec, 15) + ((b * (chunks + 1) + after - 1) * d_inner + d) * d_state * 4;
      turnState(kept, states, count, d_state);
      chunkFwd(rec, row, d, count, length, rates, states);
      const partials = arg(rec, 16) + (item % blocks * arg(rec, 13) * seqlen + row) * (size / 8);
      chunkBwd(rec, row, d, count, length, rates, states, partials);
    }
    timesA(A_sums, rates, size);
    turnStateBack(A_sums, arg(rec, 17) + channel * d_state * 4, count, d_state);
    turnStateBack(carry, grad_state, count, d_state);
    for (let c: u32 = 0; c < count; c += 4) {
      storeLanes(arg(rec, 18) + (channel + c) * 4, count - c, v128.load(D_sums + c * 4));
    }
  }
}

/** sums *= A, which is the rates times ln 2. */
function timesA(sums: usize, rates: usize, size: usize): void {
  const end = sums + size;
  for (; sums < end; sums += 16, rates += 16) {
    v128.store(sums, f32x4.mul(v128.load(sums), f32x4.mul(f32x4.splat(LN_2), v128.load(rates))));
  }
}
