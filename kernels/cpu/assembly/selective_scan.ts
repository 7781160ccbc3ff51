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

/** Bytes of a state of a block. */
const STATE_BYTES: usize = 64;

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

/**
 * One step of four channels, of which there are `count`.
 *
 * @param dt Before softplus.
 * @param states Those of the block, from the first of the four channels on, as its rates.
 * @param B B of this step, which C follows.
 */
export function scanFour(
  states: usize, rates: usize, d_state: u32, B: usize, dt: v128, u: usize, z: usize, D: usize, y: usize, count: u32,
): void {
  const steps = softplus4(dt);
  const input = loadLanes(u, count);
  const driven = f32x4.mul(steps, input);
  const C: usize = d_state * 4; // behind B
  const end = B + C;
  let sum = f32x4.mul(loadLanes(D, count), input);
  for (; B < end; B += 4, states += STATE_BYTES, rates += STATE_BYTES) {
    const A_bar = exp2OfNegative4(f32x4.mul(steps, v128.load(rates)));
    const h = madd(A_bar, v128.load(states), f32x4.mul(driven, v128.load32_splat(B)));
    v128.store(states, h);
    sum = madd(v128.load32_splat(B + C), h, sum);
  }
  storeLanes(y, count, f32x4.mul(sum, silu4(loadLanes(z, count))));
}
