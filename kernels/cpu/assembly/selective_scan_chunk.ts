// A chunk of steps of selective_scan_bwd. Lanes are channels, as in the forward.
//   g = grad_y silu(z)      p[t] = C[t] g[t] + exp(dt[t+1] A) p[t+1]      p[seqlen] = gradient of the final state
//   grad_C = sum_d g h[t]   grad_B = sum_d p dt u   grad_u = D g + dt (p . B)   grad_D = sum_t g u
//   grad_dt = sigmoid(dt_raw) sum_n p (A exp(dt A) h[t-1] + B u)   grad_A_log = A sum_t p dt exp(dt A) h[t-1]
//   grad_z = grad_y (C . h + D u) silu'(z)
// The chunk's states are computed again from the one before it, and stay in scratch memory with their decays exp(dt A).
// Scratch, of a block of 16 channels: states each of rates, p as the step behind left it, and sums of A_log; sums of B,
//   then of C, over channels, a vector a state; D: sums of grad_D; of a step g, p . B, and sums of p exp(dt A) h[t-1] A /
//   ln 2; chunk + 1 states h; chunk of decays; chunk lines (see selective_scan). Lanes of no channel are zeros.

import { loadLanes, storeLanes } from "./lanes";
import { sigmoid4 } from "./math";
import { arg } from "./record";
import { beginBlock, blockStateBytes, CHANNELS, LINE_BYTES, scanBlock, STATE_BYTES, storeFours } from "./selective_scan";
import { madd, sumLanes4 } from "./simd";

const LN_2: f32 = 0.69314718;

/** Of a step of a chunk, behind the sums of grad_D. */
const G: usize = STATE_BYTES;
const THROUGH_B: usize = 2 * STATE_BYTES;
const THROUGH_A: usize = 3 * STATE_BYTES;

/** Bytes of the sums of grad_D and of what a step has. */
export const STEP_BYTES: usize = 4 * STATE_BYTES;

/** The states and decays of a chunk of steps from row `row` on, and the line of each. */
export function chunkFwd(
  rec: usize, row: u32, d: u32, count: u32, length: u32, rates: usize, states: usize,
): void {
  const ld: usize = arg(rec, 10) * 4;
  const d_state = arg(rec, 11);
  const size = blockStateBytes(d_state);
  let decays = states + (arg(rec, 12) + 1) * size;
  let line = decays + arg(rec, 12) * size;
  let at: usize = row * ld + d * 4;
  let B = arg(rec, 2) + row * arg(rec, 3) * 4;
  for (let t: u32 = 0; t < length; t++, at += ld, B += arg(rec, 3) * 4, line += LINE_BYTES) {
    beginBlock(line, arg(rec, 1) + at, arg(rec, 0) + at, arg(rec, 6) + d * 4, count);
    scanBlock(states, states + size, decays, rates, d_state, B, line);
    states += size;
    decays += size;
  }
}

/** The gradients of a chunk of steps, from the last to the first. */
export function chunkBwd(
  rec: usize, row: u32, d: u32, count: u32, length: u32, rates: usize, states: usize, partials: usize,
): void {
  const ld: usize = arg(rec, 10) * 4;
  const d_state = arg(rec, 11);
  const size = blockStateBytes(d_state);
  const decays = states + (arg(rec, 12) + 1) * size;
  const lines = decays + arg(rec, 12) * size;
  const BC_sums = rates + 3 * size;
  const step = BC_sums + size / 2;
  const D = arg(rec, 6) + d * 4;
  for (let t = length; t-- > 0;) {
    const B = arg(rec, 2) + (row + t) * arg(rec, 3) * 4;
    const line = lines + t * LINE_BYTES;
    const at: usize = (row + t) * ld + d * 4;
    const gate: usize = (row + t) * arg(rec, 5) * 4 + d * 4;
    if (count == CHANNELS) {
      throughGate(rec, step, line, at, gate, 4);
      throughGate(rec, step + 16, line + 16, at + 16, gate + 16, 4);
      throughGate(rec, step + 32, line + 32, at + 32, gate + 32, 4);
      throughGate(rec, step + 48, line + 48, at + 48, gate + 48, 4);
      backBlock(rates, size, states + t * size, decays + t * size, BC_sums, d_state, B, line, step);
      gradients(rec, step, line, at, D, 4);
      gradients(rec, step + 16, line + 16, at + 16, D + 16, 4);
      gradients(rec, step + 32, line + 32, at + 32, D + 32, 4);
      gradients(rec, step + 48, line + 48, at + 48, D + 48, 4);
    } else {
      for (let c: usize = 0; c < count; c += 4) {
        throughGate(rec, step + c * 4, line + c * 4, at + c * 4, gate + c * 4, count - c);
      }
      backBlock(rates, size, states + t * size, decays + t * size, BC_sums, d_state, B, line, step);
      for (let c: usize = 0; c < count; c += 4) {
        gradients(rec, step + c * 4, line + c * 4, at + c * 4, D + c * 4, count - c);
      }
    }
    sumChannels(BC_sums, d_state, partials + t * (size / 8));
  }
}

/** g and grad_z of four channels, of which there are `left`, and what they add to the sums of grad_D. */
// @ts-ignore: decorator
@inline
function throughGate(rec: usize, step: usize, line: usize, at: usize, gate: usize, left: u32): void {
  const z = loadLanes(arg(rec, 4) + gate, left);
  const s = sigmoid4(z);
  const silu = f32x4.mul(z, s);
  const grad = loadLanes(arg(rec, 7) + at, left);
  const g = f32x4.mul(grad, silu);
  v128.store(step, g, G);
  v128.store(step, madd(g, loadLanes(arg(rec, 0) + at, left), v128.load(step)));
  // silu'(z) = s + z s (1 - s)
  const slope = madd(silu, f32x4.sub(f32x4.splat(1), s), s);
  storeLanes(arg(rec, 8) + gate, left, f32x4.mul(grad, f32x4.mul(v128.load(line, 128), slope)));
}

/** grad_u and grad_dt of four channels, of which there are `left`. */
// @ts-ignore: decorator
@inline
function gradients(rec: usize, step: usize, line: usize, at: usize, D: usize, left: u32): void {
  const u = loadLanes(arg(rec, 0) + at, left);
  const through_B = v128.load(step, THROUGH_B);
  const grad_u = madd(loadLanes(D, left), v128.load(step, G), f32x4.mul(v128.load(line), through_B));
  storeLanes(arg(rec, 7) + at, left, grad_u);
  const raw = arg(rec, 1) + at;
  const grad_dt = madd(f32x4.splat(LN_2), v128.load(step, THROUGH_A), f32x4.mul(u, through_B));
  storeLanes(raw, left, f32x4.mul(sigmoid4(loadLanes(raw, left)), grad_dt));
}

/**
 * One step of a block, backwards.
 *
 * @param rates Those of the channels, which p and the sums of A_log follow, a block's states apart.
 */
function backBlock(
  rates: usize, size: usize, states: usize, decays: usize, BC_sums: usize, d_state: u32, B: usize, line: usize,
  step: usize,
): void {
  const C: usize = d_state * 4; // behind B
  const end = B + C;
  const after = states + size;
  const C_sums = size / 4; // behind those of B
  let B_sum0 = f32x4.splat(0);
  let B_sum1 = f32x4.splat(0);
  let B_sum2 = f32x4.splat(0);
  let B_sum3 = f32x4.splat(0);
  let A_sum0 = f32x4.splat(0);
  let A_sum1 = f32x4.splat(0);
  let A_sum2 = f32x4.splat(0);
  let A_sum3 = f32x4.splat(0);
  for (let n: usize = 0; B < end; B += 4, n += STATE_BYTES, BC_sums += 16) {
    const place = rates + n;
    const b = v128.load32_splat(B);
    const c = v128.load32_splat(B + C);
    const g0 = v128.load(step, G);
    const p0 = madd(c, g0, v128.load(place + size));
    const from0 = backFour(place, size, p0, decays + n, states + n, line);
    A_sum0 = madd(v128.load(place), from0, A_sum0);
    B_sum0 = madd(p0, b, B_sum0);
    let to_B = f32x4.mul(p0, v128.load(line, 64));
    let to_C = f32x4.mul(g0, v128.load(after + n));
    const g1 = v128.load(step + 16, G);
    const p1 = madd(c, g1, v128.load(place + size, 16));
    const from1 = backFour(place + 16, size, p1, decays + n + 16, states + n + 16, line + 16);
    A_sum1 = madd(v128.load(place, 16), from1, A_sum1);
    B_sum1 = madd(p1, b, B_sum1);
    to_B = madd(p1, v128.load(line, 80), to_B);
    to_C = madd(g1, v128.load(after + n, 16), to_C);
    const g2 = v128.load(step + 32, G);
    const p2 = madd(c, g2, v128.load(place + size, 32));
    const from2 = backFour(place + 32, size, p2, decays + n + 32, states + n + 32, line + 32);
    A_sum2 = madd(v128.load(place, 32), from2, A_sum2);
    B_sum2 = madd(p2, b, B_sum2);
    to_B = madd(p2, v128.load(line, 96), to_B);
    to_C = madd(g2, v128.load(after + n, 32), to_C);
    const g3 = v128.load(step + 48, G);
    const p3 = madd(c, g3, v128.load(place + size, 48));
    const from3 = backFour(place + 48, size, p3, decays + n + 48, states + n + 48, line + 48);
    A_sum3 = madd(v128.load(place, 48), from3, A_sum3);
    B_sum3 = madd(p3, b, B_sum3);
    to_B = madd(p3, v128.load(line, 112), to_B);
    to_C = madd(g3, v128.load(after + n, 48), to_C);
    v128.store(BC_sums, to_B);
    v128.store(BC_sums + C_sums, to_C);
  }
  storeFours(step + THROUGH_B, B_sum0, B_sum1, B_sum2, B_sum3);
  storeFours(step + THROUGH_A, A_sum0, A_sum1, A_sum2, A_sum3);
}

/** p of four channels for the step before, and what it adds to the sums of A_log: exp(dt A) h[t-1] p is returned. */
// @ts-ignore: decorator
@inline
function backFour(place: usize, size: usize, p: v128, decays: usize, states: usize, line: usize): v128 {
  const through = f32x4.mul(v128.load(decays), p);
  v128.store(place + size, through);
  const from = f32x4.mul(through, v128.load(states));
  v128.store(place + 2 * size, madd(v128.load(line), from, v128.load(place + 2 * size)));
  return from;
}

/** The sums of B's and of C's vectors over their lanes: (2, d_state in whole vectors). */
function sumChannels(sums: usize, d_state: u32, to: usize): void {
  const end = to + ((d_state + 3) & ~3) * 8;
  for (; to < end; to += 16, sums += 64) {
    v128.store(to, sumLanes4(v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48)));
  }
}
