// A chunk of steps of selective_scan_bwd. Lanes are channels, as in the forward.
//   g = grad_y silu(z)      p[t] = C[t] g[t] + exp(dt[t+1] A) p[t+1]      p[seqlen] = gradient of the final state
//   grad_C = sum_d g h[t]   grad_B = sum_d p dt u   grad_u = D g + dt (p . B)   grad_D = sum_t g u
//   grad_dt = sigmoid(dt_raw) sum_n p (A exp(dt A) h[t-1] + B u)   grad_A_log = A sum_t p dt exp(dt A) h[t-1]
//   grad_z = grad_y (C . h + D u) silu'(z)
// The chunk's states are computed again from the one before it, and stay in scratch memory with their decays exp(dt A).
// Scratch, of a block of 16 channels: states each of rates, p as the step behind left it, and sums of A_log; sums of B,
//   then of C, over channels, a vector a state; sums of D; chunk + 1 states h; chunk of decays; two steps (16 floats)
//   each of dt and C . h + D u

import { loadLanes, storeLanes } from "./lanes";
import { exp2OfNegative4, sigmoid4, siluDerivative4, softplus4 } from "./math";
import { arg } from "./record";
import { blockStateBytes } from "./selective_scan";
import { madd, sumLanes4 } from "./simd";

/** Bytes of a state, or of what a step has, of 16 channels. */
export const STEP_BYTES: usize = 64;

const LN_2: f32 = 0.69314718;

/** Sums over the states of four channels, as backFour() leaves them: of p B, and of p exp(dt A) h[t-1] A / ln 2. */
let through_B: v128 = f32x4.splat(0);
let through_A: v128 = f32x4.splat(0);

/** The states and decays of a chunk of steps from row `row` on, and of each step dt and C . h + D u. */
export function chunkFwd(
  rec: usize, row: u32, d: u32, count: u32, length: u32, rates: usize, states: usize,
): void {
  const ld: usize = arg(rec, 10) * 4;
  const d_state = arg(rec, 11);
  const size = blockStateBytes(d_state);
  const decays = states + (arg(rec, 12) + 1) * size;
  let step = decays + arg(rec, 12) * size;
  let at: usize = row * ld + d * 4;
  let B = arg(rec, 2) + row * arg(rec, 3) * 4;
  for (let t: u32 = 0; t < length; t++, at += ld, B += arg(rec, 3) * 4, step += 2 * STEP_BYTES) {
    for (let c: u32 = 0; c < count; c += 4) {
      const left = count - c;
      const own: usize = c * 4;
      const dt = softplus4(loadLanes(arg(rec, 1) + at + own, left));
      const u = loadLanes(arg(rec, 0) + at + own, left);
      const skip = f32x4.mul(loadLanes(arg(rec, 6) + (d + c) * 4, left), u);
      const sum = forwardFour(
        rates + own, size, states + t * size + own, decays + t * size + own, d_state, B, dt, f32x4.mul(dt, u), skip,
      );
      v128.store(step + own, dt);
      v128.store(step + own, sum, STEP_BYTES);
    }
  }
}

/** One step of four channels: the decays, the next states, and sum + C . h. */
function forwardFour(
  rates: usize, size: usize, states: usize, decays: usize, d_state: u32, B: usize, dt: v128, driven: v128, sum: v128,
): v128 {
  const next = states + size;
  const C: usize = d_state * 4; // behind B
  for (let n: usize = 0; n < C; n += 4) {
    const at = n * (STEP_BYTES / 4);
    const A_bar = exp2OfNegative4(f32x4.mul(dt, v128.load(rates + at)));
    const h = madd(A_bar, v128.load(states + at), f32x4.mul(driven, v128.load32_splat(B + n)));
    v128.store(decays + at, A_bar);
    v128.store(next + at, h);
    sum = madd(v128.load32_splat(B + C + n), h, sum);
  }
  return sum;
}

/** The gradients of a chunk of steps, from the last to the first. */
export function chunkBwd(
  rec: usize, row: u32, d: u32, count: u32, length: u32, rates: usize, states: usize, partials: usize,
): void {
  const ld: usize = arg(rec, 10) * 4;
  const d_state = arg(rec, 11);
  const size = blockStateBytes(d_state);
  const decays = states + (arg(rec, 12) + 1) * size;
  const steps = decays + arg(rec, 12) * size;
  const BC_sums = rates + 3 * size;
  const D_sums = BC_sums + size / 2;
  for (let t = length; t-- > 0;) {
    const B = arg(rec, 2) + (row + t) * arg(rec, 3) * 4;
    const step = steps + 2 * t * STEP_BYTES;
    for (let c: u32 = 0; c < count; c += 4) {
      const left = count - c;
      const own: usize = c * 4;
      const at: usize = (row + t) * ld + (d + c) * 4;
      const gate: usize = (row + t) * arg(rec, 5) * 4 + (d + c) * 4;
      const z = loadLanes(arg(rec, 4) + gate, left);
      const grad = loadLanes(arg(rec, 7) + at, left);
      const g = f32x4.mul(grad, f32x4.mul(z, sigmoid4(z)));
      const u = loadLanes(arg(rec, 0) + at, left);
      const raw = arg(rec, 1) + at;
      const dt = v128.load(step + own);
      const slope = f32x4.mul(v128.load(step + own, STEP_BYTES), siluDerivative4(z));
      storeLanes(arg(rec, 8) + gate, left, f32x4.mul(grad, slope));
      v128.store(D_sums + own, madd(g, u, v128.load(D_sums + own)));
      backFour(
        rates + own, size, states + t * size + own, decays + t * size + own, BC_sums, c > 0, d_state, B, g, dt,
        f32x4.mul(dt, u),
      );
      const grad_u = madd(loadLanes(arg(rec, 6) + (d + c) * 4, left), g, f32x4.mul(dt, through_B));
      const grad_dt = madd(f32x4.splat(LN_2), through_A, f32x4.mul(u, through_B));
      storeLanes(arg(rec, 7) + at, left, grad_u);
      storeLanes(raw, left, f32x4.mul(sigmoid4(loadLanes(raw, left)), grad_dt));
    }
    sumChannels(BC_sums, d_state, partials + t * (size / 8));
  }
}

/**
 * One step of four channels, backwards.
 *
 * @param rates Those of the channels, which p and the sums of A_log follow, a block's states apart.
 * @param adds Whether BC_sums holds other channels' sums, which then are added to.
 */
function backFour(
  rates: usize, size: usize, states: usize, decays: usize, BC_sums: usize, adds: bool, d_state: u32, B: usize, g: v128,
  dt: v128, driven: v128,
): void {
  const C: usize = d_state * 4; // behind B
  const after = states + size;
  const C_sums = BC_sums + size / 4;
  let B_sum = f32x4.splat(0);
  let A_sum = B_sum;
  for (let n: usize = 0; n < C; n += 4) {
    const at = n * (STEP_BYTES / 4);
    const sums = n * 4;
    const place = rates + at;
    const p = madd(v128.load32_splat(B + C + n), g, v128.load(place + size));
    const through = f32x4.mul(v128.load(decays + at), p);
    v128.store(place + size, through);
    let to_B = f32x4.mul(p, driven);
    let to_C = f32x4.mul(g, v128.load(after + at));
    if (adds) {
      to_B = f32x4.add(to_B, v128.load(BC_sums + sums));
      to_C = f32x4.add(to_C, v128.load(C_sums + sums));
    }
    v128.store(BC_sums + sums, to_B);
    v128.store(C_sums + sums, to_C);
    B_sum = madd(p, v128.load32_splat(B + n), B_sum);
    const from = f32x4.mul(through, v128.load(states + at));
    A_sum = madd(v128.load(place), from, A_sum);
    v128.store(place + 2 * size, madd(dt, from, v128.load(place + 2 * size)));
  }
  through_B = B_sum;
  through_A = A_sum;
}

/** The sums of B's and of C's vectors over their lanes: (2, d_state in whole vectors). */
function sumChannels(sums: usize, d_state: u32, to: usize): void {
  const end = to + ((d_state + 3) & ~3) * 8;
  for (; to < end; to += 16, sums += 64) {
    v128.store(to, sumLanes4(v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48)));
  }
}
