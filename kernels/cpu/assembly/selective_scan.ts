// The Mamba-1 recurrence (Gu & Dao 2023, Algorithm 2) of a block of channels, with skip and gate: what
// selective_scan_fwd and selective_scan_step share, so that a step gives the bits that a sequence gives.
//   h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]        y[t] = (C[t] . h[t] + D u[t]) silu(z[t])
// Lanes are four states of a channel. In scratch memory, rows of states are padded with zeros to whole vectors: those of
// A / ln 2, of the state, and, where d_state is not a multiple of 4, of a step's B and C.

import { loadLanes, storeLanes } from "./lanes";
import { exp2OfNegative4, exp4, silu4, softplus4 } from "./math";
import { madd, sumLanes4 } from "./simd";

/** Channels of a block: a cache line of each row of activations. */
export const CHANNELS: u32 = 16;

/** Bytes of a row of states in scratch memory. */
// @ts-ignore: decorator
@inline
export function rowBytes(d_state: u32): usize {
  return ((d_state + 3) & ~3) << 2;
}

/** Rows (count, d_state) of A_log to rows of -exp(A_log) / ln 2; finite, for a dt of zero leaves the state as it is. */
export function prepareA(A_log: usize, A: usize, count: u32, d_state: u32): void {
  const ld = rowBytes(d_state);
  for (let c: u32 = 0; c < count; c++) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      const power = exp4(loadLanes(A_log + (c * d_state + n) * 4, d_state - n));
      const value = f32x4.mul(f32x4.splat(-1.44269504), power);
      v128.store(A + c * ld + n * 4, f32x4.pmax(value, f32x4.splat(-3.4e38)));
    }
  }
}

/** Rows without gaps to rows of whole vectors. */
export function padRows(from: usize, to: usize, count: u32, d_state: u32): void {
  const ld = rowBytes(d_state);
  for (let c: u32 = 0; c < count; c++) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      v128.store(to + c * ld + n * 4, loadLanes(from + (c * d_state + n) * 4, d_state - n));
    }
  }
}

/** The way back. */
export function unpadRows(from: usize, to: usize, count: u32, d_state: u32): void {
  const ld = rowBytes(d_state);
  for (let c: u32 = 0; c < count; c++) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      storeLanes(to + (c * d_state + n) * 4, d_state - n, v128.load(from + c * ld + n * 4));
    }
  }
}

/**
 * One step of four channels, of which there are `count`.
 *
 * @param dt Before softplus.
 * @param ld Bytes from row to row of A and h; B and C have as many, in whole vectors.
 */
export function scanFour(
  dt: v128,
  u: usize,
  z: usize,
  D: usize,
  y: usize,
  count: u32,
  A: usize,
  h: usize,
  ld: usize,
  B: usize,
  C: usize,
): void {
  const steps = softplus4(dt);
  const input = loadLanes(u, count);
  const driven = f32x4.mul(steps, input);
  const sums = sumLanes4(
    scanOne(f32x4.extract_lane(steps, 0), f32x4.extract_lane(driven, 0), A, h, ld, B, C),
    scanOne(f32x4.extract_lane(steps, 1), f32x4.extract_lane(driven, 1), A + ld, h + ld, ld, B, C),
    scanOne(f32x4.extract_lane(steps, 2), f32x4.extract_lane(driven, 2), A + 2 * ld, h + 2 * ld, ld, B, C),
    scanOne(f32x4.extract_lane(steps, 3), f32x4.extract_lane(driven, 3), A + 3 * ld, h + 3 * ld, ld, B, C),
  );
  const value = madd(loadLanes(D, count), input, sums);
  storeLanes(y, count, f32x4.mul(value, silu4(loadLanes(z, count))));
}

/** One step of one channel: four parts of C . h. */
// @ts-ignore: decorator
@inline
function scanOne(dt: f32, driven: f32, A: usize, h: usize, ld: usize, B: usize, C: usize): v128 {
  const dts = f32x4.splat(dt);
  const drive = f32x4.splat(driven);
  let sum = f32x4.splat(0);
  for (let n: usize = 0; n < ld; n += 16) {
    const A_bar = exp2OfNegative4(f32x4.mul(dts, v128.load(A + n)));
    const next = madd(A_bar, v128.load(h + n), f32x4.mul(drive, v128.load(B + n)));
    v128.store(h + n, next);
    sum = madd(v128.load(C + n), next, sum);
  }
  return sum;
}
