// The Mamba-1 recurrence (Gu & Dao 2023, Algorithm 2) of a block of 16 channels, with skip and gate: what
// selective_scan_fwd and selective_scan_step share, so that a step gives the bits that a sequence gives.
//   h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]        y[t] = (C[t] . h[t] + D u[t]) silu(z[t])
// Lanes are channels: no sum crosses them, and any d_state is whole. A block's states are turned round for it in scratch
// memory, and back: for each n, A / ln 2 of 16 channels, then h of 16 channels.

import { loadLanes, storeLanes } from "./lanes";
import { exp2OfNegative4, exp4, silu4, softplus4 } from "./math";
import { madd } from "./simd";
import { transpose0, transpose1, transpose2, transpose3 } from "./transpose";

/** Channels of a block: a cache line of each row of activations. */
export const CHANNELS: u32 = 16;

/** Bytes of a state of a block in scratch memory: A, then h. */
const STATE_BYTES: usize = 128;
const H: usize = 64;

/** Turns A_log and h (count, d_state) round. What is of no channel is the last one's. */
export function prepareBlock(states: usize, A_log: usize, h: usize, count: u32, d_state: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    const row0 = c * d_state * 4;
    const row1 = min(c + 1, count - 1) * d_state * 4;
    const row2 = min(c + 2, count - 1) * d_state * 4;
    const row3 = min(c + 3, count - 1) * d_state * 4;
    for (let n: u32 = 0; n < d_state; n += 4) {
      const left = d_state - n;
      const to = states + n * STATE_BYTES + c * 4;
      const from = A_log + n * 4;
      const a = loadLanes(from + row0, left);
      const b = loadLanes(from + row1, left);
      const d = loadLanes(from + row2, left);
      const e = loadLanes(from + row3, left);
      v128.store(to, decayRate(transpose0(a, b, d, e)));
      v128.store(to + STATE_BYTES, decayRate(transpose1(a, b, d, e)));
      v128.store(to + 2 * STATE_BYTES, decayRate(transpose2(a, b, d, e)));
      v128.store(to + 3 * STATE_BYTES, decayRate(transpose3(a, b, d, e)));
      const own = h + n * 4;
      const h0 = loadLanes(own + row0, left);
      const h1 = loadLanes(own + row1, left);
      const h2 = loadLanes(own + row2, left);
      const h3 = loadLanes(own + row3, left);
      v128.store(to, transpose0(h0, h1, h2, h3), H);
      v128.store(to + STATE_BYTES, transpose1(h0, h1, h2, h3), H);
      v128.store(to + 2 * STATE_BYTES, transpose2(h0, h1, h2, h3), H);
      v128.store(to + 3 * STATE_BYTES, transpose3(h0, h1, h2, h3), H);
    }
  }
}

/** -exp(A_log) / ln 2; finite, for a dt of zero leaves the state as it is. */
// @ts-ignore: decorator
@inline
function decayRate(A_log: v128): v128 {
  return f32x4.pmax(f32x4.mul(f32x4.splat(-1.44269504), exp4(A_log)), f32x4.splat(-3.4e38));
}

/** Writes h (count, d_state) back. */
export function storeState(states: usize, h: usize, count: u32, d_state: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      const left = d_state - n;
      const from = states + n * STATE_BYTES + c * 4;
      const a = v128.load(from, H);
      const b = v128.load(from + STATE_BYTES, H);
      const d = v128.load(from + 2 * STATE_BYTES, H);
      const e = v128.load(from + 3 * STATE_BYTES, H);
      const to = h + (c * d_state + n) * 4;
      storeLanes(to, left, transpose0(a, b, d, e));
      if (c + 1 < count) storeLanes(to + d_state * 4, left, transpose1(a, b, d, e));
      if (c + 2 < count) storeLanes(to + 2 * d_state * 4, left, transpose2(a, b, d, e));
      if (c + 3 < count) storeLanes(to + 3 * d_state * 4, left, transpose3(a, b, d, e));
    }
  }
}

/**
 * One step of four channels, of which there are `count`.
 *
 * @param dt Before softplus.
 * @param states Those of the block, from the first of the four channels on.
 * @param B B of this step, which C follows.
 */
export function scanFour(
  states: usize, d_state: u32, B: usize, dt: v128, u: usize, z: usize, D: usize, y: usize, count: u32,
): void {
  const steps = softplus4(dt);
  const input = loadLanes(u, count);
  const driven = f32x4.mul(steps, input);
  const C: usize = d_state * 4; // behind B
  const end = B + C;
  let sum = f32x4.mul(loadLanes(D, count), input);
  for (; B < end; B += 4, states += STATE_BYTES) {
    const A_bar = exp2OfNegative4(f32x4.mul(steps, v128.load(states)));
    const h = madd(A_bar, v128.load(states, H), f32x4.mul(driven, v128.load32_splat(B)));
    v128.store(states, h, H);
    sum = madd(v128.load32_splat(B + C), h, sum);
  }
  storeLanes(y, count, f32x4.mul(sum, silu4(loadLanes(z, count))));
}
