// mamba3_inputs: what comes before the recurrence of Mamba-3 (arXiv 2603.15569), for each step, head h of group g, rank r:
//   dt = softplus(dd_dt + dt_bias)     A = min(-f(dd_A), -A_floor)     lambda = sigmoid(trap)
//   rates = dt, dt A, lambda dt, (1 - lambda) dt        theta[j] += pi tanh(angles[j]) dt, kept in [-pi, pi]
//   v = x mimo_x     k = rotate(rms_norm(B[r, g]) B_norm + B_bias, theta)     q likewise of C
//   f(x) = 1 + x, and 1 / (1 - x) below 0; or softplus(x). Rotated are pairs of neighbors, or, for MIMO, of lanes that are
//   d_state / 2 apart, as far as there are angles.
// Items: heads of a sequence. Each computes the norms of its group again: a state's step is much more.
// Arguments: zxBCdt, from row to row of it, columns of x, B, C and dd_dt, dt_bias, B_norm, C_norm, B_bias, C_bias, mimo_x
//   or 0, theta (batch, nheads, angles), rates (batch, nheads, seqlen, 4), thetas (batch, seqlen, nheads, angles), vkq
//   (batch, seqlen, rank, [v, k, q]), seqlen, nheads, headdim, d_state, ngroups, rank, angles, whether they are MIMO's
//   pairs, whether f has the heavy tail, A_floor, eps

import { cosine, cosSin, reduced, sine, tanh } from "./angle";
import { sigmoid4, softplus4 } from "./math";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";

export function mamba3Inputs(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 16);
  const nheads = arg(rec, 17);
  const d_state = arg(rec, 19);
  const ngroups = arg(rec, 20);
  const rank = arg(rec, 21);
  const angles = arg(rec, 22);
  const d_inner = nheads * arg(rec, 18);
  const ldVkq: usize = (d_inner + 2 * nheads * d_state) * 4;
  for (let item = begin; item < end; item++) {
    const b = item / nheads;
    const h = item % nheads;
    const g = h / (nheads / ngroups);
    const theta = arg(rec, 12) + item * angles * 4;
    for (let t: u32 = 0; t < seqlen; t++) {
      const row = b * seqlen + t;
      const own = arg(rec, 0) + row * arg(rec, 1) * 4;
      const rates = arg(rec, 13) + (item * seqlen + t) * 16;
      stepRates(rec, own + (arg(rec, 5) + h) * 4, h, nheads, rates);
      const thetas = arg(rec, 14) + (row * nheads + h) * angles * 4;
      const turns = own + (arg(rec, 5) + 3 * nheads) * 4;
      const dt = load<f32>(rates);
      for (let j: usize = 0; j < angles * 4; j += 4) {
        const angle = reduced(load<f32>(theta + j) + <f32>3.14159265 * tanh(load<f32>(turns + j)) * dt);
        store<f32>(theta + j, angle);
        store<f32>(thetas + j, angle);
      }
      for (let r: u32 = 0; r < rank; r++) {
        const vkq = arg(rec, 15) + (row * rank + r) * ldVkq;
        headInput(rec, own, h, r, vkq);
        const bias: usize = (h * rank + r) * d_state * 4;
        const group: usize = (r * ngroups + g) * d_state * 4;
        const k = vkq + (d_inner + h * d_state) * 4;
        turned(rec, own + arg(rec, 3) * 4 + group, arg(rec, 7), arg(rec, 9) + bias, thetas, k);
        const q = k + nheads * d_state * 4;
        turned(rec, own + arg(rec, 4) * 4 + group, arg(rec, 8), arg(rec, 10) + bias, thetas, q);
      }
    }
  }
}

/** The four rates of a step, from dd_dt at `raw`, dd_A and trap behind it. */
function stepRates(rec: usize, raw: usize, h: u32, nheads: u32, rates: usize): void {
  const dt = softplus(load<f32>(raw) + load<f32>(arg(rec, 6) + h * 4));
  const dd_A = load<f32>(raw + nheads * 4);
  const trap = load<f32>(raw + nheads * 8);
  const one: f32 = 1;
  const heavy: f32 = dd_A >= 0 ? one + dd_A : one / (one - dd_A);
  const A = min<f32>(-(arg(rec, 24) != 0 ? heavy : softplus(dd_A)), -argF32(rec, 25));
  store<f32>(rates, dt);
  store<f32>(rates, dt * A, 4);
  store<f32>(rates, dt * sigmoid(trap), 8);
  // By itself: 1 - lambda would lose what is near 0.
  store<f32>(rates, dt * sigmoid(-trap), 12);
}

export function softplus(v: f32): f32 {
  return f32x4.extract_lane(softplus4(f32x4.splat(v)), 0);
}

export function sigmoid(v: f32): f32 {
  return f32x4.extract_lane(sigmoid4(f32x4.splat(v)), 0);
}

/** v of a head. */
function headInput(rec: usize, row: usize, h: u32, r: u32, vkq: usize): void {
  const headdim = arg(rec, 18);
  const column: usize = h * headdim * 4;
  const x = row + arg(rec, 2) * 4 + column;
  const v = vkq + column;
  memory.copy(v, x, headdim * 4);
  if (arg(rec, 11) == 0) return;
  const factors = arg(rec, 11) + (h * arg(rec, 21) + r) * headdim * 4;
  for (let p: usize = 0; p < headdim * 4; p += 4) {
    store<f32>(v + p, load<f32>(v + p) * load<f32>(factors + p));
  }
}

/** B or C of a group, normalized, and with a head's bias and angles. */
function turned(rec: usize, from: usize, weight: usize, bias: usize, thetas: usize, to: usize): void {
  const d_state = arg(rec, 19);
  const angles = arg(rec, 22);
  const isMimo = arg(rec, 23) != 0;
  const rstd = rstdOf(from, d_state, argF32(rec, 26));
  const apart: usize = isMimo ? d_state * 2 : 4;
  for (let i: u32 = 0; i < d_state / 2; i++) {
    const n: usize = isMimo ? i * 4 : i * 8;
    const a = load<f32>(from + n) * rstd * load<f32>(weight + n) + load<f32>(bias + n);
    const m = n + apart;
    const c = load<f32>(from + m) * rstd * load<f32>(weight + m) + load<f32>(bias + m);
    if (i >= angles) {
      store<f32>(to + n, a);
      store<f32>(to + m, c);
      continue;
    }
    cosSin(load<f32>(thetas + i * 4));
    store<f32>(to + n, a * cosine - c * sine);
    store<f32>(to + m, a * sine + c * cosine);
  }
}
