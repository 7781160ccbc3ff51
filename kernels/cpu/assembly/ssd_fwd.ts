// ssd_fwd: the recurrence of Mamba-2 (Dao & Gu 2024) over a sequence or a single step, from any state, with skip and,
// where there is a z, gate.
//   dt = clamp(softplus(dt_raw + dt_bias), dt_min, dt_max)      A = -exp(A_log)
//   s[p] = exp(dt A) s[p] + dt x[p] B        y[p] = C . s[p] + D x[p]        y[p] *= silu(z[p])
// Not in chunks of matrix products, which give a GPU enough lanes: with headdim 64 and d_state 128 they save a tenth of
// the arithmetic. Four channels' states stay in the nearest cache; keeping them in registers over several steps was no
// faster. A step gives the bits that it has in a sequence.
// Items: four channels of a head of a sequence. Those of a head that follow each other share its dt.
// Arguments: x in the first row of xBC, from row to row of xBC, z in the first row of zxbcdt or 0, dt likewise, from row
// to row of zxbcdt, A_log, D, dt_bias, ssm_state (batch, nheads, headdim, d_state), y, seqlen, nheads, headdim, d_state,
// ngroups, dt_min, dt_max, D_has_hdim, steps from one kept state to the next or 0
// States that are kept, for the backward, lie side by side: ssm_state (batch, chunks + 1, nheads, headdim, d_state), the
// first that before the sequence, the last that after it.
// Scratch: dt and exp(dt A) of every step, each in whole vectors; 4 floats; a row of states

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { exp, exp4, silu4, softplus4 } from "./math";
import { arg, argF32 } from "./record";
import { madd, sumLanes4 } from "./simd";

export function ssdFwd(rec: usize, begin: u32, end: u32): void {
  const ldXBC: usize = arg(rec, 1) * 4;
  const ldZ: usize = arg(rec, 4) * 4;
  const seqlen = arg(rec, 10);
  const nheads = arg(rec, 11);
  const headdim = arg(rec, 12);
  const d_state = arg(rec, 13);
  const ngroups = arg(rec, 14);
  const D_has_hdim = arg(rec, 17) != 0;
  const chunk = arg(rec, 18);
  const slots = chunk == 0 ? 1 : (seqlen + chunk - 1) / chunk + 1;
  const quads = (headdim + 3) / 4;
  const ldY: usize = nheads * headdim * 4;
  const dt = threadScratch();
  const A_bar = dt + vectorsOf(seqlen);
  const driven = A_bar + vectorsOf(seqlen);
  const nobody = driven + 16;
  let prepared: u32 = -1;
  for (let item = begin; item < end; item++) {
    const head = item / quads; // of the whole batch
    const p = item % quads * 4;
    const b = head / nheads;
    const h = head % nheads;
    if (head != prepared) prepareSteps(rec, b, h, dt, A_bar);
    prepared = head;
    const count = min<u32>(4, headdim - p);
    const row: usize = d_state * 4;
    let s0: usize = arg(rec, 8) + ((b * slots * nheads + h) * headdim + p) * row;
    // Channels that are not there have a state of zeros, which no input moves.
    if (count < 4) memory.fill(nobody, 0, row);
    const column: usize = (h * headdim + p) * 4;
    const first = arg(rec, 0) + b * seqlen * ldXBC;
    let x = first + column;
    let B = first + ldY + h / (nheads / ngroups) * row;
    const C: usize = ngroups * row; // so far behind B
    const D = D_has_hdim ? loadLanes(arg(rec, 6) + column, count) : v128.load32_splat(arg(rec, 6) + h * 4);
    let z: usize = arg(rec, 2) == 0 ? 0 : arg(rec, 2) + b * seqlen * ldZ + column;
    let y = arg(rec, 9) + b * seqlen * ldY + column;
    for (let t: u32 = 0; t < seqlen; t++, x += ldXBC, B += ldXBC, y += ldY) {
      // What a chunk begins with stays.
      if (chunk != 0 && t % chunk == 0) {
        const next = s0 + nheads * headdim * row;
        memory.copy(next, s0, count * row);
        s0 = next;
      }
      const s1 = count > 1 ? s0 + row : nobody;
      const s2 = count > 2 ? s0 + 2 * row : nobody;
      const s3 = count > 3 ? s0 + 3 * row : nobody;
      const input = loadLanes(x, count);
      v128.store(driven, f32x4.mul(v128.load32_splat(dt + t * 4), input));
      const sums = moveOn(s0, s1, s2, s3, B, C, v128.load32_splat(A_bar + t * 4), driven, d_state);
      let value = madd(D, input, sums);
      if (z != 0) {
        value = f32x4.mul(value, silu4(loadLanes(z, count)));
        z += ldZ;
      }
      storeLanes(y, count, value);
    }
  }
}

// @ts-ignore: decorator
@inline
export function vectorsOf(seqlen: u32): usize {
  return ((seqlen + 3) & ~3) << 2;
}

/** dt and exp(dt A) of every step of a head, four steps at a time. */
export function prepareSteps(rec: usize, b: u32, h: u32, dt: usize, A_bar: usize): void {
  const seqlen = arg(rec, 10);
  const ld: usize = arg(rec, 4) * 4;
  const raw = arg(rec, 3) + b * seqlen * ld + h * 4;
  const bias = v128.load32_splat(arg(rec, 7) + h * 4);
  const A = f32x4.splat(-exp(load<f32>(arg(rec, 5) + h * 4)));
  const lowest = f32x4.splat(argF32(rec, 15));
  const highest = f32x4.splat(argF32(rec, 16));
  for (let t: u32 = 0; t < seqlen; t += 4) {
    const last = seqlen - 1;
    let four = v128.load32_zero(raw + t * ld);
    four = v128.load32_lane(raw + min(t + 1, last) * ld, four, 1);
    four = v128.load32_lane(raw + min(t + 2, last) * ld, four, 2);
    four = v128.load32_lane(raw + min(t + 3, last) * ld, four, 3);
    const steps = softplus4(f32x4.add(four, bias));
    const limited = f32x4.pmin(f32x4.pmax(steps, lowest), highest);
    v128.store(dt + t * 4, limited);
    v128.store(A_bar + t * 4, exp4(f32x4.mul(limited, A)));
  }
}

/** Moves four channels' states on by a step, and returns their C . s. */
export function moveOn(
  s0: usize, s1: usize, s2: usize, s3: usize, B: usize, C: usize, A_bar: v128, driven: usize, d_state: u32,
): v128 {
  const driven0 = v128.load32_splat(driven);
  const driven1 = v128.load32_splat(driven, 4);
  const driven2 = v128.load32_splat(driven, 8);
  const driven3 = v128.load32_splat(driven, 12);
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  const whole: usize = (d_state & ~3) * 4;
  let at: usize = 0;
  for (; at < whole; at += 16) {
    const own = v128.load(B + at);
    const by = v128.load(B + C + at);
    sum0 = plusNext(sum0, s0 + at, 4, A_bar, driven0, own, by);
    sum1 = plusNext(sum1, s1 + at, 4, A_bar, driven1, own, by);
    sum2 = plusNext(sum2, s2 + at, 4, A_bar, driven2, own, by);
    sum3 = plusNext(sum3, s3 + at, 4, A_bar, driven3, own, by);
  }
  const left = d_state & 3;
  if (left > 0) {
    const own = loadLanes(B + at, left);
    const by = loadLanes(B + C + at, left);
    sum0 = plusNext(sum0, s0 + at, left, A_bar, driven0, own, by);
    sum1 = plusNext(sum1, s1 + at, left, A_bar, driven1, own, by);
    sum2 = plusNext(sum2, s2 + at, left, A_bar, driven2, own, by);
    sum3 = plusNext(sum3, s3 + at, left, A_bar, driven3, own, by);
  }
  return sumLanes4(sum0, sum1, sum2, sum3);
}

/** Moves the first `count` of four states of a channel on, and returns sum + C s. */
// @ts-ignore: decorator
@inline
function plusNext(sum: v128, state: usize, count: u32, A_bar: v128, driven: v128, B: v128, C: v128): v128 {
  const next = madd(A_bar, loadLanes(state, count), f32x4.mul(driven, B));
  storeLanes(state, count, next);
  return madd(C, next, sum);
}
