// The Mamba-1 recurrence (Gu & Dao 2023, Algorithm 2) of a block of 16 channels, with skip and gate: what
// selective_scan_fwd and selective_scan_step share, so that a step gives the bits that a sequence gives.
//   h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]        y[t] = (C[t] . h[t] + D u[t]) silu(z[t])
// Lanes are channels: no sum crosses them, and any d_state is whole. The state is turned round for it in scratch memory,
// and back, and so are the rates A / ln 2: for each n, those of the block's channels side by side. A does not change, so
// that scan_rates can do its part of it once for all steps.

import { loadLanes, storeLanes } from "./lanes";
import { exp2OfNegative4, exp4, silu4, softplus4 } from "./math";
import { madd } from "./simd";
import { transpose0, transpose1, transpose2, transpose3 } from "./transpose";

/** Channels of a block: a cache line of each row of activations. */
export const CHANNELS: u32 = 16;

/** Bytes of a state, or of what else there is once, of a block's channels. */
export const STATE_BYTES: usize = 64;

/** Bytes of a block's states, in whole vectors. */
export function blockStateBytes(d_state: u32): usize {
  return ((d_state + 3) & ~3) * STATE_BYTES;
}

/** Turns h (count, d_state) round. What is of no channel is the last one's. */
export function turnState(from: usize, states: usize, count: u32, d_state: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    const row0 = from + c * d_state * 4;
    const row1 = from + min(c + 1, count - 1) * d_state * 4;
    const row2 = from + min(c + 2, count - 1) * d_state * 4;
    const row3 = from + min(c + 3, count - 1) * d_state * 4;
    for (let n: u32 = 0; n < d_state; n += 4) {
      const left = d_state - n;
      const a = loadLanes(row0 + n * 4, left);
      const b = loadLanes(row1 + n * 4, left);
      const d = loadLanes(row2 + n * 4, left);
      const e = loadLanes(row3 + n * 4, left);
      const to = states + n * STATE_BYTES + c * 4;
      v128.store(to, transpose0(a, b, d, e));
      v128.store(to, transpose1(a, b, d, e), 64);
      v128.store(to, transpose2(a, b, d, e), 128);
      v128.store(to, transpose3(a, b, d, e), 192);
    }
  }
}

/** Turns the state back into h (count, d_state). */
export function turnStateBack(states: usize, to: usize, count: u32, d_state: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      const left = d_state - n;
      const from = states + n * STATE_BYTES + c * 4;
      const a = v128.load(from);
      const b = v128.load(from, 64);
      const d = v128.load(from, 128);
      const e = v128.load(from, 192);
      const row = to + (c * d_state + n) * 4;
      storeLanes(row, left, transpose0(a, b, d, e));
      if (c + 1 < count) storeLanes(row + d_state * 4, left, transpose1(a, b, d, e));
      if (c + 2 < count) storeLanes(row + 2 * d_state * 4, left, transpose2(a, b, d, e));
      if (c + 3 < count) storeLanes(row + 3 * d_state * 4, left, transpose3(a, b, d, e));
    }
  }
}

/** Turns A_log (count, d_state) into rates: -exp(A_log) / ln 2, finite, for a dt of zero leaves the state as it is. */
export function makeRates(A_log: usize, rates: usize, count: u32, d_state: u32): void {
  turnState(A_log, rates, count, d_state);
  const end = rates + blockStateBytes(d_state);
  for (; rates < end; rates += 16) {
    const A = f32x4.mul(f32x4.splat(-1.44269504), exp4(v128.load(rates)));
    v128.store(rates, f32x4.pmax(A, f32x4.splat(-3.4e38)));
  }
}

/** Bytes of what a step of a block has of each channel: dt, dt u, and y before the gate, 16 floats each. */
export const LINE_BYTES: usize = 3 * STATE_BYTES;

/**
 * Begins a step of a block: makes its line.
 *
 * A whole block has no loop, here and below: its branches would make the end of the loop over states a surprise every
 * time, and what follows would wait for it. Measured: 1.3 ns a state instead of 2.3.
 *
 * @param raw dt before softplus, of `count` channels.
 */
export function beginBlock(line: usize, raw: usize, u: usize, D: usize, count: u32): void {
  if (count == CHANNELS) {
    beginFour(line, raw, u, D, 4);
    beginFour(line + 16, raw + 16, u + 16, D + 16, 4);
    beginFour(line + 32, raw + 32, u + 32, D + 32, 4);
    beginFour(line + 48, raw + 48, u + 48, D + 48, 4);
  } else {
    for (let c: u32 = 0; c < count; c += 4) beginFour(line + c * 4, raw + c * 4, u + c * 4, D + c * 4, count - c);
  }
}

// @ts-ignore: decorator
@inline
function beginFour(line: usize, raw: usize, u: usize, D: usize, left: u32): void {
  const dt = softplus4(loadLanes(raw, left));
  const input = loadLanes(u, left);
  v128.store(line, dt);
  v128.store(line, f32x4.mul(dt, input), 64);
  v128.store(line, f32x4.mul(loadLanes(D, left), input), 128);
}

/** Ends a step of a block: y through the gate. */
export function endBlock(line: usize, z: usize, y: usize, count: u32): void {
  if (count == CHANNELS) {
    endFour(line, z, y, 4);
    endFour(line + 16, z + 16, y + 16, 4);
    endFour(line + 32, z + 32, y + 32, 4);
    endFour(line + 48, z + 48, y + 48, 4);
  } else {
    for (let c: u32 = 0; c < count; c += 4) endFour(line + c * 4, z + c * 4, y + c * 4, count - c);
  }
}

// @ts-ignore: decorator
@inline
function endFour(line: usize, z: usize, y: usize, left: u32): void {
  storeLanes(y, left, f32x4.mul(v128.load(line, 128), silu4(loadLanes(z, left))));
}

/**
 * One step of a block that beginBlock() began, all channels at once: a processor finds more to do while it waits.
 *
 * @param next Where the next states go; it may be `states`.
 * @param decays Where exp(dt A) goes, or 0.
 * @param B B of this step, which C follows.
 */
export function scanBlock(
  states: usize, next: usize, decays: usize, rates: usize, d_state: u32, B: usize, line: usize,
): void {
  const C: usize = d_state * 4; // behind B
  const end = B + C;
  let sum0 = v128.load(line, 128);
  let sum1 = v128.load(line, 144);
  let sum2 = v128.load(line, 160);
  let sum3 = v128.load(line, 176);
  for (; B < end; B += 4) {
    const b = v128.load32_splat(B);
    const c = v128.load32_splat(B + C);
    const A_bar0 = exp2OfNegative4(f32x4.mul(v128.load(line), v128.load(rates)));
    const h0 = madd(A_bar0, v128.load(states), f32x4.mul(v128.load(line, 64), b));
    sum0 = madd(c, h0, sum0);
    const A_bar1 = exp2OfNegative4(f32x4.mul(v128.load(line, 16), v128.load(rates, 16)));
    const h1 = madd(A_bar1, v128.load(states, 16), f32x4.mul(v128.load(line, 80), b));
    sum1 = madd(c, h1, sum1);
    const A_bar2 = exp2OfNegative4(f32x4.mul(v128.load(line, 32), v128.load(rates, 32)));
    const h2 = madd(A_bar2, v128.load(states, 32), f32x4.mul(v128.load(line, 96), b));
    sum2 = madd(c, h2, sum2);
    const A_bar3 = exp2OfNegative4(f32x4.mul(v128.load(line, 48), v128.load(rates, 48)));
    const h3 = madd(A_bar3, v128.load(states, 48), f32x4.mul(v128.load(line, 112), b));
    sum3 = madd(c, h3, sum3);
    storeFours(next, h0, h1, h2, h3);
    states += STATE_BYTES;
    next += STATE_BYTES;
    rates += STATE_BYTES;
    if (decays == 0) continue;
    storeFours(decays, A_bar0, A_bar1, A_bar2, A_bar3);
    decays += STATE_BYTES;
  }
  storeFours(line + 128, sum0, sum1, sum2, sum3);
}

/** A value of each channel of a block. */
// @ts-ignore: decorator
@inline
export function storeFours(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}
