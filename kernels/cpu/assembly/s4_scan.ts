// s4_scan: the recurrence of S4D and S4 step by step, from any state: see kernels/s4_scan.wgsl.
//   x[t] = a x[t-1] - p (q x[t-1]) + b u[t]      y[t] = 2 Re(C x[t]) + D u[t]
// Items: four channels of a sequence, whose state lies in scratch while its steps go by; of several, so does the system.
// Arguments: system, C, D, u, states (batch, slots, pairs, 2, d_model), y, d_model, pairs, whether there is a low rank,
//   seqlen, first step, steps of a chunk, slots
// Scratch: the state, and C and the system, of four channels

import { mulIm, mulRe } from "./complex";
import { threadScratch } from "./control";
import { arg } from "./record";
import { loadRow, packRows4, storeRow } from "./rows";
import { madd } from "./simd";

export function s4Scan(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 6);
  const size = arg(rec, 7) * 2;
  const isLow = arg(rec, 8) != 0;
  const seqlen = arg(rec, 9);
  const chunk = arg(rec, 11);
  const slots = arg(rec, 12);
  const blocks = (d_model + 3) / 4;
  const state = threadScratch();
  const C = state + size * 16;
  const system = C + size * 16;
  let packed: u32 = u32.MAX_VALUE;
  for (let item = begin; item < end; item++) {
    const d = item % blocks * 4;
    const b = item / blocks;
    if (packed != d) {
      packRows4(arg(rec, 1) + d * 4, d_model * 4, d_model - d, C, size, size);
      const rows: u32 = isLow ? size * 4 : size * 2;
      packRows4(arg(rec, 0) + d * 4, d_model * 4, d_model - d, system, rows, rows);
    }
    packed = d;
    const skip = loadRow(arg(rec, 2), 0, d_model, d);
    const own = b * slots * size;
    const first = min(arg(rec, 10) / chunk, slots - 1);
    packRows4(arg(rec, 4) + ((own + first * size) * d_model + d) * 4, d_model * 4, d_model - d, state, size, size);
    for (let t = arg(rec, 10); t < seqlen; t++) {
      const u = loadRow(arg(rec, 3), b * seqlen + t, d_model, d);
      const y = step(state, C, system, size, isLow, u);
      storeRow(arg(rec, 5), b * seqlen + t, d_model, d, madd(skip, u, y));
      if (t + 1 < seqlen && (slots == 1 || (t + 1) % chunk != 0)) continue;
      const slot = own + min(t / chunk + 1, slots - 1) * size;
      for (let i: u32 = 0; i < size; i++) storeRow(arg(rec, 4), slot + i, d_model, d, v128.load(state + i * 16));
    }
  }
}

/** Moves the state on, and gives the output but for the skip. */
// @ts-ignore: decorator
@inline
function step(state: usize, C: usize, system: usize, size: u32, isLow: bool, u: v128): v128 {
  const block: usize = size * 16;
  const two = f32x4.splat(2), minus = f32x4.splat(-2);
  let coupled = f32x4.splat(0);
  let y = coupled;
  if (isLow) {
    const q = system + 3 * block;
    for (let n: usize = 0; n < block; n += 16) coupled = madd(v128.load(q + n), v128.load(state + n), coupled);
    coupled = f32x4.neg(coupled);
  }
  for (let n: usize = 0; n < block; n += 32) {
    const a_re = v128.load(system + n), a_im = v128.load(system + n, 16);
    const x_re = v128.load(state + n), x_im = v128.load(state + n, 16);
    let re = madd(u, v128.load(system + block + n), mulRe(a_re, a_im, x_re, x_im));
    let im = madd(u, v128.load(system + block + n, 16), mulIm(a_re, a_im, x_re, x_im));
    if (isLow) {
      re = madd(coupled, v128.load(system + 2 * block + n), re);
      im = madd(coupled, v128.load(system + 2 * block + n, 16), im);
    }
    v128.store(state + n, re);
    v128.store(state + n, im, 16);
    y = madd(f32x4.mul(two, v128.load(C + n)), re, y);
    y = madd(f32x4.mul(minus, v128.load(C + n, 16)), im, y);
  }
  return y;
}
