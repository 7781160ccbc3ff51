// Four channels of a head in ssd_bwd: lanes are states. A chunk's states are computed again from the ones before it, and
// stay in scratch memory. The gradient of the state, q, lives in grad_state.
// Scratch, behind what ssd_bwd has: 4 floats of dt x, 4 of grad_y, 4 sums of D; a row of states of nobody; chunk + 1 times
//   4 rows of states, each in whole vectors

import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";
import { madd, sumLanes, sumLanes4 } from "./simd";
import { vectorsOf } from "./ssd_fwd";

/** The sum of q A_bar s_before, as backStep() leaves it. */
let through: v128 = f32x4.splat(0);

/**
 * The gradients of channels p to p + 3 over all steps. What they add to sums over a head is added to through_A and
 * through_B, and to the partials of B and C, which the first four overwrite.
 *
 * @param D_partials Where the sums of D go, or 0.
 * @returns The sum of those.
 */
export function quadBwd(
  rec: usize, b: u32, h: u32, p: u32, dt: usize, A_bar: usize, through_A: usize, through_B: usize, D_partials: usize,
): f32 {
  const seqlen = arg(rec, 10);
  const nheads = arg(rec, 11);
  const headdim = arg(rec, 12);
  const d_state = arg(rec, 13);
  const chunk = arg(rec, 18);
  const count = min<u32>(4, headdim - p);
  const column: usize = (h * headdim + p) * 4;
  const ldXBC: usize = arg(rec, 1) * 4;
  const ldY: usize = nheads * headdim * 4;
  const row: usize = d_state * 4;
  const padded = vectorsOf(d_state);
  const driven = through_B + vectorsOf(seqlen);
  const nobody = driven + 48;
  const states = nobody + padded;
  const C: usize = arg(rec, 14) * row; // so far behind B
  const chunks = (seqlen + chunk - 1) / chunk;
  const q = arg(rec, 23) + ((b * nheads + h) * headdim + p) * row;
  const D = arg(rec, 17) != 0 ? loadLanes(arg(rec, 6) + column, count) : v128.load32_splat(arg(rec, 6) + h * 4);
  let D_sums = f32x4.splat(0);
  memory.fill(nobody, 0, padded);
  for (let after = chunks; after > 0; after--) {
    const first = (after - 1) * chunk;
    const length = min(chunk, seqlen - first);
    const kept = arg(rec, 8) + (((b * (chunks + 1) + after - 1) * nheads + h) * headdim + p) * row;
    const start: usize = b * seqlen + first;
    const x = arg(rec, 0) + start * ldXBC + column;
    const B = arg(rec, 0) + start * ldXBC + ldY + h / (nheads / arg(rec, 14)) * row;
    readStates(kept, states, count, d_state);
    for (let t: u32 = 0; t < length; t++) {
      const input = loadLanes(x + t * ldXBC, count);
      v128.store(driven, f32x4.mul(v128.load32_splat(dt + (first + t) * 4), input));
      const decay = v128.load32_splat(A_bar + (first + t) * 4);
      forwardStep(states + 4 * t * padded, padded, d_state, B + t * ldXBC, decay, driven);
    }
    const partials = arg(rec, 20) + (h * arg(rec, 2) * seqlen + start) * 2 * padded;
    for (let t = length; t-- > 0;) {
      const place: usize = (first + t) * 4;
      const input = loadLanes(x + t * ldXBC, count);
      const grad = loadLanes(arg(rec, 9) + (start + t) * ldY + column, count);
      const step = v128.load32_splat(dt + place);
      v128.store(driven, f32x4.mul(step, input));
      v128.store(driven, grad, 16);
      const qB = backStep(
        states + 4 * t * padded, padded, q, count, nobody, d_state, B + t * ldXBC, C, v128.load32_splat(A_bar + place), driven,
        partials + 2 * t * padded, p > 0,
      );
      D_sums = madd(grad, input, D_sums);
      storeLanes(arg(rec, 19) + (start + t) * ldXBC + column, count, madd(D, grad, f32x4.mul(step, qB)));
      store<f32>(through_A + place, load<f32>(through_A + place) + sumLanes(through));
      store<f32>(through_B + place, load<f32>(through_B + place) + sumLanes(f32x4.mul(input, qB)));
    }
  }
  if (D_partials != 0) storeLanes(D_partials, count, D_sums);
  return sumLanes(D_sums);
}

/** Four rows of states, those that are not there zeros. */
function readStates(from: usize, to: usize, count: u32, d_state: u32): void {
  const padded = vectorsOf(d_state);
  for (let j: u32 = 0; j < 4; j++) {
    for (let n: u32 = 0; n < d_state; n += 4) {
      const own = j < count ? loadLanes(from + (j * d_state + n) * 4, d_state - n) : f32x4.splat(0);
      v128.store(to + j * padded + n * 4, own);
    }
  }
}

/** The four rows of states of the next step, which lie behind those of this one. */
function forwardStep(states: usize, padded: usize, d_state: u32, B: usize, A_bar: v128, driven: usize): void {
  const driven0 = v128.load32_splat(driven);
  const driven1 = v128.load32_splat(driven, 4);
  const driven2 = v128.load32_splat(driven, 8);
  const driven3 = v128.load32_splat(driven, 12);
  for (let n: u32 = 0; n < d_state; n += 4) {
    const own = loadLanes(B + n * 4, d_state - n);
    const s0 = states + n * 4;
    const s1 = s0 + padded;
    const s2 = s1 + padded;
    const s3 = s2 + padded;
    const next = s3 + padded;
    v128.store(next, madd(A_bar, v128.load(s0), f32x4.mul(driven0, own)));
    v128.store(next + padded, madd(A_bar, v128.load(s1), f32x4.mul(driven1, own)));
    v128.store(next + 2 * padded, madd(A_bar, v128.load(s2), f32x4.mul(driven2, own)));
    v128.store(next + 3 * padded, madd(A_bar, v128.load(s3), f32x4.mul(driven3, own)));
  }
}

/**
 * A step of four channels, backwards.
 *
 * @param driven Four floats of dt x, and four of grad_y.
 * @param sums Those of B over channels, then of C's, which are added to with `adds`.
 * @returns q . B of each channel.
 */
function backStep(
  states: usize, padded: usize, q: usize, count: u32, nobody: usize, d_state: u32, B: usize, C: usize, A_bar: v128,
  driven: usize, sums: usize, adds: bool,
): v128 {
  const row: usize = d_state * 4;
  const q1 = count > 1 ? q + row : nobody;
  const q2 = count > 2 ? q + 2 * row : nobody;
  const q3 = count > 3 ? q + 3 * row : nobody;
  let qB0 = f32x4.splat(0);
  let qB1 = qB0;
  let qB2 = qB0;
  let qB3 = qB0;
  let passed = qB0;
  for (let n: u32 = 0; n < d_state; n += 4) {
    const at: usize = n * 4;
    const left = d_state - n;
    const own = loadLanes(B + at, left);
    const by = loadLanes(B + C + at, left);
    const s0 = states + at;
    const s1 = s0 + padded;
    const s2 = s1 + padded;
    const s3 = s2 + padded;
    const next = s3 + padded;
    let to_B = adds ? v128.load(sums + at) : f32x4.splat(0);
    let to_C = adds ? v128.load(sums + padded + at) : f32x4.splat(0);

    let grad = v128.load32_splat(driven, 16);
    let own_q = madd(by, grad, loadLanes(q + at, left));
    let before = f32x4.mul(A_bar, own_q);
    storeLanes(q + at, left, before);
    qB0 = madd(own_q, own, qB0);
    to_B = madd(own_q, v128.load32_splat(driven), to_B);
    to_C = madd(grad, v128.load(next), to_C);
    passed = madd(before, v128.load(s0), passed);

    grad = v128.load32_splat(driven, 20);
    own_q = madd(by, grad, loadLanes(q1 + at, left));
    before = f32x4.mul(A_bar, own_q);
    storeLanes(q1 + at, left, before);
    qB1 = madd(own_q, own, qB1);
    to_B = madd(own_q, v128.load32_splat(driven, 4), to_B);
    to_C = madd(grad, v128.load(next + padded), to_C);
    passed = madd(before, v128.load(s1), passed);

    grad = v128.load32_splat(driven, 24);
    own_q = madd(by, grad, loadLanes(q2 + at, left));
    before = f32x4.mul(A_bar, own_q);
    storeLanes(q2 + at, left, before);
    qB2 = madd(own_q, own, qB2);
    to_B = madd(own_q, v128.load32_splat(driven, 8), to_B);
    to_C = madd(grad, v128.load(next + 2 * padded), to_C);
    passed = madd(before, v128.load(s2), passed);

    grad = v128.load32_splat(driven, 28);
    own_q = madd(by, grad, loadLanes(q3 + at, left));
    before = f32x4.mul(A_bar, own_q);
    storeLanes(q3 + at, left, before);
    qB3 = madd(own_q, own, qB3);
    to_B = madd(own_q, v128.load32_splat(driven, 12), to_B);
    to_C = madd(grad, v128.load(next + 3 * padded), to_C);
    passed = madd(before, v128.load(s3), passed);

    v128.store(sums + at, to_B);
    v128.store(sums + padded + at, to_C);
  }
  through = passed;
  return sumLanes4(qB0, qB1, qB2, qB3);
}
