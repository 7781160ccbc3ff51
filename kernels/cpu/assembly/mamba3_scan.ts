// mamba3_scan: the recurrence of Mamba-3 over a sequence, from any state, in a form that looks at one step at a time:
// with delta = (1 - lambda) dt, gamma = lambda dt, e[t] = delta[t+1] (0 after the last step), and sums over ranks r'
//   S'[-1] = S + delta[0] sum v_prev[r'] k_prev[r']     S'[t] = exp(dt A) S'[t-1] + (gamma[t] + e[t]) sum v[r'] k[r']
//   y[r] = S' q[r] + sum over r' of (D where r' = r, - e[t] k[r'] . q[r]) v[r']
// Items: four channels of a head of a sequence. Those of a head that follow each other share its steps.
// Arguments: vkq (batch, seqlen, rank, [v, k, q]), rates (batch, nheads, seqlen, 4), mimo_x or 0, D, ssm_state (batch,
//   nheads, headdim, d_state), k, v: those of the step before the first, y (batch, seqlen, rank, nheads headdim), states or
//   0, seqlen, nheads, headdim, d_state, rank, steps from one kept state to the next
// States that are kept, for the backward: (batch, chunks + 1, nheads, headdim, d_state), the first S'[-1].
// Scratch: of every step exp(dt A), gamma + e, and rank x rank factors of v; 4 floats; a row of states

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { exp } from "./math";
import { arg } from "./record";
import { madd, sumLanes, sumLanes4 } from "./simd";
import { moveOn } from "./ssd_fwd";

export function mamba3Scan(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 9);
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const chunk = arg(rec, 14);
  const kept = arg(rec, 8);
  const slots = (seqlen + chunk - 1) / chunk + 1;
  const quads = (headdim + 3) / 4;
  const d_inner = nheads * headdim;
  const row: usize = d_state * 4;
  const ldVkq: usize = d_inner * 4 + 2 * nheads * row;
  const steps = threadScratch();
  const stepBytes: usize = (2 + rank * rank) * 4;
  const driven = steps + seqlen * stepBytes;
  const nobody = driven + 16;
  let prepared: u32 = -1;
  for (let item = begin; item < end; item++) {
    const head = item / quads; // of the whole batch
    const p = item % quads * 4;
    const b = head / nheads;
    const h = head % nheads;
    if (head != prepared) prepareScan(rec, b, h, steps, stepBytes);
    prepared = head;
    const count = min<u32>(4, headdim - p);
    if (count < 4) memory.fill(nobody, 0, row);
    const final = arg(rec, 4) + (head * headdim + p) * row;
    let s0: usize = final;
    if (kept != 0) {
      s0 = kept + ((b * slots * nheads + h) * headdim + p) * row;
      memory.copy(s0, final, count * row);
    }
    resume(rec, b, h, p, count, s0);
    const column: usize = (h * headdim + p) * 4;
    for (let t: u32 = 0; t < seqlen; t++) {
      if (kept != 0 && t % chunk == 0) {
        const next = s0 + d_inner * row;
        memory.copy(next, s0, count * row);
        s0 = next;
      }
      const s1 = count > 1 ? s0 + row : nobody;
      const s2 = count > 2 ? s0 + 2 * row : nobody;
      const s3 = count > 3 ? s0 + 3 * row : nobody;
      const step = steps + t * stepBytes;
      const first = arg(rec, 0) + (b * seqlen + t) * rank * ldVkq;
      const y = arg(rec, 7) + (b * seqlen + t) * rank * d_inner * 4 + column;
      const k = first + d_inner * 4 + h * row;
      const q: usize = nheads * row; // so far behind k
      const scale = v128.load32_splat(step, 4);
      let decay = v128.load32_splat(step);
      let sums = decay;
      for (let r: u32 = 0; r < rank; r++) {
        v128.store(driven, f32x4.mul(scale, loadLanes(first + r * ldVkq + column, count)));
        sums = moveOn(s0, s1, s2, s3, k + r * ldVkq, q, decay, driven, d_state);
        decay = f32x4.splat(1);
      }
      for (let r: u32 = 0; r < rank; r++) {
        // The last of them saw the whole step's state.
        let value = r + 1 < rank ? products(s0, s1, s2, s3, k + r * ldVkq + q, d_state) : sums;
        for (let other: u32 = 0; other < rank; other++) {
          const factor = v128.load32_splat(step + (2 + r * rank + other) * 4);
          value = madd(factor, loadLanes(first + other * ldVkq + column, count), value);
        }
        storeLanes(y + r * d_inner * 4, count, value);
      }
    }
    if (kept != 0) memory.copy(final, s0, count * row);
  }
}

/** exp(dt A), gamma + e and the factors of v of every step of a head. */
export function prepareScan(rec: usize, b: u32, h: u32, steps: usize, stepBytes: usize): void {
  const seqlen = arg(rec, 9);
  const nheads = arg(rec, 10);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const d_inner = nheads * arg(rec, 11);
  const ldVkq: usize = (d_inner + 2 * nheads * d_state) * 4;
  const D = load<f32>(arg(rec, 3) + h * 4);
  const rates = arg(rec, 1) + (b * nheads + h) * seqlen * 16;
  for (let t: u32 = 0; t < seqlen; t++) {
    const step = steps + t * stepBytes;
    const e = t + 1 < seqlen ? load<f32>(rates + (t + 1) * 16, 12) : <f32>0;
    store<f32>(step, exp(load<f32>(rates + t * 16, 4)));
    store<f32>(step, load<f32>(rates + t * 16, 8) + e, 4);
    const k = arg(rec, 0) + (b * seqlen + t) * rank * ldVkq + (d_inner + h * d_state) * 4;
    for (let r: u32 = 0; r < rank; r++) {
      const q = k + r * ldVkq + nheads * d_state * 4;
      for (let other: u32 = 0; other < rank; other++) {
        const own = -e * dot(k + other * ldVkq, q, d_state) + (r == other ? D : <f32>0);
        store<f32>(step + (2 + r * rank + other) * 4, own);
      }
    }
  }
}

/** S'[-1] of four channels, in place of S. */
function resume(rec: usize, b: u32, h: u32, p: u32, count: u32, state: usize): void {
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const delta = load<f32>(arg(rec, 1) + (b * nheads + h) * arg(rec, 9) * 16, 12);
  for (let j: u32 = 0; j < count; j++) {
    const v = load<f32>(arg(rec, 6) + ((b * nheads + h) * headdim + p + j) * 4) * delta;
    const row = state + j * d_state * 4;
    for (let r: u32 = 0; r < rank; r++) {
      const own = arg(rec, 2) == 0 ? v : v * load<f32>(arg(rec, 2) + ((h * rank + r) * headdim + p + j) * 4);
      const k = arg(rec, 5) + ((b * rank + r) * nheads + h) * d_state * 4;
      for (let n: u32 = 0; n < d_state; n += 4) {
        const left = d_state - n;
        const sum = madd(f32x4.splat(own), loadLanes(k + n * 4, left), loadLanes(row + n * 4, left));
        storeLanes(row + n * 4, left, sum);
      }
    }
  }
}

/** k . q */
export function dot(k: usize, q: usize, d_state: u32): f32 {
  let sum = f32x4.splat(0);
  for (let n: u32 = 0; n < d_state; n += 4) {
    sum = madd(loadLanes(k + n * 4, d_state - n), loadLanes(q + n * 4, d_state - n), sum);
  }
  return sumLanes(sum);
}

/** S' q of four channels. */
function products(s0: usize, s1: usize, s2: usize, s3: usize, q: usize, d_state: u32): v128 {
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  for (let n: u32 = 0; n < d_state; n += 4) {
    const at: usize = n * 4;
    const left = d_state - n;
    const own = loadLanes(q + at, left);
    sum0 = madd(loadLanes(s0 + at, left), own, sum0);
    sum1 = madd(loadLanes(s1 + at, left), own, sum1);
    sum2 = madd(loadLanes(s2 + at, left), own, sum2);
    sum3 = madd(loadLanes(s3 + at, left), own, sum3);
  }
  return sumLanes4(sum0, sum1, sum2, sum3);
}
