// s4_series: what a chunk of steps does, from what one step does: see kernels/s4_series.wgsl.
//   K[l] = C Abar^l b, D in K[0]    R[chunk-1-l] = Abar^l b    O[t] = C Abar^(t+1)    E = a^chunk without a low rank
// Items: four channels.
// Arguments: system, C, D, table ([K, O, R, E], d_model), d_model, pairs, chunk, whether there is a low rank

import { conjIm, conjRe, mulIm, mulRe } from "./complex";
import { arg } from "./record";
import { loadRow, storeRow } from "./rows";
import { madd } from "./simd";

export function s4Series(rec: usize, begin: u32, end: u32): void {
  const system: usize = arg(rec, 0);
  const C: usize = arg(rec, 1);
  const table: usize = arg(rec, 3);
  const d_model = arg(rec, 4);
  const pairs = arg(rec, 5);
  const chunk = arg(rec, 6);
  const isLow = arg(rec, 7) != 0;
  const size = pairs * 2;
  const E = chunk + 2 * chunk * size;
  const two = f32x4.splat(2), minus = f32x4.splat(-2), zero = f32x4.splat(0);
  for (let item = begin; item < end; item++) {
    const d = item * 4;
    for (let i: u32 = 0; i < size; i++) {
      storeRow(table, rowR(0, chunk, size) + i, d_model, d, loadRow(system, size + i, d_model, d));
      if (!isLow) storeRow(table, E + i, d_model, d, f32x4.splat(i % 2 == 0 ? 1 : 0));
    }
    for (let t: u32 = 0; t < chunk; t++) {
      const r = rowR(t, chunk, size);
      const o = chunk + t * size;
      // The row before O[t], and before the first what an output takes of a state.
      const before = o - size;
      let k = zero, qr = zero, op = zero;
      for (let n: u32 = 0; n < size; n++) {
        const value = loadRow(table, r + n, d_model, d);
        const c = f32x4.mul(n % 2 == 0 ? two : minus, loadRow(C, n, d_model, d));
        k = madd(c, value, k);
        if (isLow) {
          qr = madd(loadRow(system, 3 * size + n, d_model, d), value, qr);
          op = madd(loadRow(system, 2 * size + n, d_model, d), t == 0 ? c : loadRow(table, before + n, d_model, d), op);
        }
      }
      storeRow(table, t, d_model, d, t == 0 ? f32x4.add(k, loadRow(arg(rec, 2), 0, d_model, d)) : k);
      for (let n: u32 = 0; n < size; n += 2) {
        const a_re = loadRow(system, n, d_model, d), a_im = loadRow(system, n + 1, d_model, d);
        const b_re = t == 0 ? f32x4.mul(two, loadRow(C, n, d_model, d)) : loadRow(table, before + n, d_model, d);
        const b_im = t == 0 ? f32x4.mul(minus, loadRow(C, n + 1, d_model, d)) : loadRow(table, before + n + 1, d_model, d);
        let o_re = conjRe(a_re, a_im, b_re, b_im), o_im = conjIm(a_re, a_im, b_re, b_im);
        const r_re = loadRow(table, r + n, d_model, d), r_im = loadRow(table, r + n + 1, d_model, d);
        let x_re = mulRe(a_re, a_im, r_re, r_im), x_im = mulIm(a_re, a_im, r_re, r_im);
        if (isLow) {
          const ops = f32x4.neg(op), qrs = f32x4.neg(qr);
          o_re = madd(ops, loadRow(system, 3 * size + n, d_model, d), o_re);
          o_im = madd(ops, loadRow(system, 3 * size + n + 1, d_model, d), o_im);
          x_re = madd(qrs, loadRow(system, 2 * size + n, d_model, d), x_re);
          x_im = madd(qrs, loadRow(system, 2 * size + n + 1, d_model, d), x_im);
        } else {
          const e_re = loadRow(table, E + n, d_model, d), e_im = loadRow(table, E + n + 1, d_model, d);
          storeRow(table, E + n, d_model, d, mulRe(a_re, a_im, e_re, e_im));
          storeRow(table, E + n + 1, d_model, d, mulIm(a_re, a_im, e_re, e_im));
        }
        storeRow(table, o + n, d_model, d, o_re);
        storeRow(table, o + n + 1, d_model, d, o_im);
        if (t + 1 == chunk) continue;
        storeRow(table, rowR(t + 1, chunk, size) + n, d_model, d, x_re);
        storeRow(table, rowR(t + 1, chunk, size) + n + 1, d_model, d, x_im);
      }
    }
  }
}

/** The row of Abar^l b. */
// @ts-ignore: decorator
@inline
export function rowR(l: u32, chunk: u32, size: u32): u32 {
  return chunk + (2 * chunk - 1 - l) * size;
}
