// mamba3_scan_bwd: gradients of mamba3_scan, backwards through time from the states that it kept. With Q the gradient of
// S' after a step, alpha = exp(dt A), scale = gamma + e, and W[r, r'] = sum over p of grad_y[r, p] v[r', p]:
//   Q += sum over r of grad_y[r] q[r] (then, for the step before, alpha Q)     grad_dtA = alpha sum of Q S'_before
//   grad_q[r] = sum over p of grad_y[r, p] S'[p] - e sum over r' of W[r, r'] k[r']
//   grad_k[r'] = scale sum over p of v[r', p] Q[p] - e sum over r of W[r, r'] q[r]
//   grad_v[r'] = scale Q . k[r'] + sum over r of (D where r = r', - e k[r'] . q[r]) grad_y[r]
//   grad_scale = sum over r', p of v[r', p] Q[p] . k[r'], which is grad_gamma, and with - sum of W k . q that of e, which
//   is the next step's delta; delta of the first step has it from Q before that and what mamba3_scan added to the state
// Items: heads of a sequence, of each channel after channel.
// Arguments: those of mamba3_scan, but for grad_state in place of ssm_state, grad_y in that of y, and k and v those of the
//   step before the first; then grad_vkq, grad_rates (batch, nheads, seqlen, 4), partials of D (batch, nheads)
// Scratch: as of mamba3_scan; of every step grad_scale, grad_dtA and rank x rank of W; chunk + 1 rows of states

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { dot, prepareScan } from "./mamba3_scan";
import { arg } from "./record";
import { madd, sumLanes } from "./simd";
import { vectorsOf } from "./ssd_fwd";

export function mamba3ScanBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 9);
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const stepBytes: usize = (2 + rank * rank) * 4;
  const steps = threadScratch();
  const sums = steps + seqlen * stepBytes;
  const states = sums + seqlen * stepBytes;
  for (let item = begin; item < end; item++) {
    const b = item / nheads;
    const h = item % nheads;
    prepareScan(rec, b, h, steps, stepBytes);
    memory.fill(sums, 0, seqlen * stepBytes);
    memory.fill(arg(rec, 4) + item * headdim * d_state * 4, 0, headdim * d_state * 4);
    for (let p: u32 = 0; p < headdim; p++) channelBwd(rec, b, h, p, steps, sums, states);
    finish(rec, b, h, sums);
  }
}

/** One channel over all steps; what it adds to sums over a head's channels is added to, which the first overwrites. */
function channelBwd(rec: usize, b: u32, h: u32, p: u32, steps: usize, sums: usize, states: usize): void {
  const seqlen = arg(rec, 9);
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const chunk = arg(rec, 14);
  const stepBytes: usize = (2 + rank * rank) * 4;
  const padded = vectorsOf(d_state);
  const row: usize = d_state * 4;
  const d_inner = nheads * headdim;
  const ld: usize = d_inner * 4 + 2 * nheads * row;
  const column: usize = (h * headdim + p) * 4;
  const key: usize = d_inner * 4 + h * row;
  const query: usize = key + nheads * row;
  const chunks = (seqlen + chunk - 1) / chunk;
  const Q = arg(rec, 4) + ((b * nheads + h) * headdim + p) * row;
  for (let after = chunks; after > 0; after--) {
    const first = (after - 1) * chunk;
    const length = min(chunk, seqlen - first);
    const kept = arg(rec, 8) + (((b * (chunks + 1) + after - 1) * nheads + h) * headdim + p) * row;
    for (let n: u32 = 0; n < d_state; n += 4) v128.store(states + n * 4, loadLanes(kept + n * 4, d_state - n));
    for (let t: u32 = 0; t < length; t++) {
      const step = steps + (first + t) * stepBytes;
      const own = arg(rec, 0) + (b * seqlen + first + t) * rank * ld;
      forward(states + t * padded, padded, step, own, column, key, ld, d_state, rank);
    }
    for (let t = length; t-- > 0;) {
      const step = steps + (first + t) * stepBytes;
      const sum = sums + (first + t) * stepBytes;
      const place = (b * seqlen + first + t) * rank;
      const own = arg(rec, 0) + place * ld;
      const grads = arg(rec, 15) + place * ld;
      const grad_y = arg(rec, 7) + place * d_inner * 4 + column;
      for (let r: u32 = 0; r < rank; r++) {
        const grad = load<f32>(grad_y + r * d_inner * 4);
        const q = own + r * ld + query;
        const grad_q = grads + r * ld + query;
        const four = f32x4.splat(grad);
        for (let n: u32 = 0; n < d_state; n += 4) {
          const left = d_state - n;
          const at: usize = n * 4;
          storeLanes(Q + at, left, madd(four, loadLanes(q + at, left), loadLanes(Q + at, left)));
          const before = p > 0 ? loadLanes(grad_q + at, left) : f32x4.splat(0);
          storeLanes(grad_q + at, left, madd(four, v128.load(states + (t + 1) * padded + at), before));
        }
        for (let other: u32 = 0; other < rank; other++) {
          const W = sum + (2 + r * rank + other) * 4;
          store<f32>(W, load<f32>(W) + grad * load<f32>(own + other * ld + column));
        }
      }
      const scale = load<f32>(step, 4);
      for (let r: u32 = 0; r < rank; r++) {
        const v = load<f32>(own + r * ld + column);
        const driven = f32x4.splat(scale * v);
        const k = own + r * ld + key;
        const grad_k = grads + r * ld + key;
        let products = f32x4.splat(0);
        for (let n: u32 = 0; n < d_state; n += 4) {
          const left = d_state - n;
          const at: usize = n * 4;
          const grad = loadLanes(Q + at, left);
          products = madd(grad, loadLanes(k + at, left), products);
          const before = p > 0 ? loadLanes(grad_k + at, left) : f32x4.splat(0);
          storeLanes(grad_k + at, left, madd(driven, grad, before));
        }
        const product = sumLanes(products);
        store<f32>(sum, load<f32>(sum) + v * product);
        let grad_v = scale * product;
        for (let from: u32 = 0; from < rank; from++) {
          grad_v += load<f32>(step + (2 + from * rank + r) * 4) * load<f32>(grad_y + from * d_inner * 4);
        }
        store<f32>(grads + r * ld + column, grad_v);
      }
      const alpha = v128.load32_splat(step);
      let through = f32x4.splat(0);
      for (let n: u32 = 0; n < d_state; n += 4) {
        const left = d_state - n;
        const next = f32x4.mul(alpha, loadLanes(Q + n * 4, left));
        through = madd(next, v128.load(states + t * padded + n * 4), through);
        storeLanes(Q + n * 4, left, next);
      }
      store<f32>(sum, load<f32>(sum, 4) + sumLanes(through), 4);
    }
  }
}

/** The row of states of the next step, behind that of this one. */
function forward(
  state: usize, padded: usize, step: usize, own: usize, column: usize, key: usize, ld: usize, d_state: u32, rank: u32,
): void {
  const alpha = v128.load32_splat(step);
  const scale = load<f32>(step, 4);
  for (let n: u32 = 0; n < d_state; n += 4) {
    let next = f32x4.mul(alpha, v128.load(state + n * 4));
    for (let r: u32 = 0; r < rank; r++) {
      const driven = f32x4.splat(scale * load<f32>(own + r * ld + column));
      next = madd(driven, loadLanes(own + r * ld + key + n * 4, d_state - n), next);
    }
    v128.store(state + padded + n * 4, next);
  }
}

/** What W adds, and the gradients of a head's rates and D. */
function finish(rec: usize, b: u32, h: u32, sums: usize): void {
  const seqlen = arg(rec, 9);
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  const stepBytes: usize = (2 + rank * rank) * 4;
  const row: usize = d_state * 4;
  const ld: usize = nheads * headdim * 4 + 2 * nheads * row;
  const key: usize = nheads * headdim * 4 + h * row;
  const query: usize = key + nheads * row;
  const head = (b * nheads + h) * seqlen;
  let D_sum: f32 = 0;
  for (let t: u32 = 0; t < seqlen; t++) {
    const sum = sums + t * stepBytes;
    const rates = arg(rec, 16) + (head + t) * 16;
    const e = t + 1 < seqlen ? load<f32>(arg(rec, 1) + (head + t + 1) * 16, 12) : <f32>0;
    const own = arg(rec, 0) + (b * seqlen + t) * rank * ld;
    const grads = arg(rec, 15) + (b * seqlen + t) * rank * ld;
    let grad_e = load<f32>(sum);
    for (let r: u32 = 0; r < rank; r++) {
      for (let other: u32 = 0; other < rank; other++) {
        const W = load<f32>(sum + (2 + r * rank + other) * 4);
        if (r == other) D_sum += W;
        grad_e -= W * dot(own + other * ld + key, own + r * ld + query, d_state);
        plus(grads + r * ld + query, -e * W, own + other * ld + key, d_state);
        plus(grads + other * ld + key, -e * W, own + r * ld + query, d_state);
      }
    }
    store<f32>(rates, 0);
    store<f32>(rates, load<f32>(sum, 4), 4);
    store<f32>(rates, load<f32>(sum), 8);
    if (t + 1 < seqlen) store<f32>(rates + 16, grad_e, 12);
  }
  store<f32>(arg(rec, 16) + head * 16, firstDelta(rec, b, h), 12);
  store<f32>(arg(rec, 17) + (b * nheads + h) * 4, D_sum);
}

/** to += factor from */
function plus(to: usize, factor: f32, from: usize, d_state: u32): void {
  const four = f32x4.splat(factor);
  for (let n: u32 = 0; n < d_state; n += 4) {
    const left = d_state - n;
    storeLanes(to + n * 4, left, madd(four, loadLanes(from + n * 4, left), loadLanes(to + n * 4, left)));
  }
}

function firstDelta(rec: usize, b: u32, h: u32): f32 {
  const nheads = arg(rec, 10);
  const headdim = arg(rec, 11);
  const d_state = arg(rec, 12);
  const rank = arg(rec, 13);
  let sum: f32 = 0;
  for (let p: u32 = 0; p < headdim; p++) {
    const v = load<f32>(arg(rec, 6) + ((b * nheads + h) * headdim + p) * 4);
    const Q = arg(rec, 4) + ((b * nheads + h) * headdim + p) * d_state * 4;
    for (let r: u32 = 0; r < rank; r++) {
      const own = arg(rec, 2) == 0 ? v : v * load<f32>(arg(rec, 2) + ((h * rank + r) * headdim + p) * 4);
      sum += own * dot(Q, arg(rec, 5) + ((b * rank + r) * nheads + h) * d_state * 4, d_state);
    }
  }
  return sum;
}
