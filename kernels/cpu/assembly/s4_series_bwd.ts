// s4_series_bwd: gradients of a step's a, b, p and q, and of C and D, from those of what a chunk does. Both chains
// backwards, with h in the place of grad_R and grad_O: formulas and names as in kernels/s4_series_bwd.wgsl.
// Items: four channels.
// Arguments: system, C, table, grad_table, grad_system, grad_C, grad_D, d_model, pairs, chunk, whether there is a low rank

import { conjIm, conjRe, mulIm, mulRe } from "./complex";
import { arg } from "./record";
import { loadRow, storeRow } from "./rows";
import { rowR } from "./s4_series";
import { madd } from "./simd";

export function s4SeriesBwd(rec: usize, begin: u32, end: u32): void {
  const table: usize = arg(rec, 2);
  const grad: usize = arg(rec, 3);
  const d_model = arg(rec, 7);
  const size = arg(rec, 8) * 2;
  const chunk = arg(rec, 9);
  const isLow = arg(rec, 10) != 0;
  const system: usize = arg(rec, 0);
  const zero = f32x4.splat(0);
  for (let item = begin; item < end; item++) {
    const d = item * 4;
    startGradients(rec, d);
    // Gradients of q r[l] and of o[t-1] p, of the step after.
    let later_r = zero, later_o = zero;
    for (let t = chunk; t-- > 0;) {
      const r = rowR(t, chunk, size);
      const o = chunk + t * size;
      const k = loadRow(grad, t, d_model, d);
      let qr = zero, op = zero, ph = zero, qh = zero;
      for (let n: u32 = 0; n < size; n += 2) {
        const a_re = loadRow(system, n, d_model, d), a_im = loadRow(system, n + 1, d_model, d);
        let r_re = madd(k, output(rec, n, d), loadRow(grad, r + n, d_model, d));
        let r_im = madd(k, output(rec, n + 1, d), loadRow(grad, r + n + 1, d_model, d));
        let o_re = loadRow(grad, o + n, d_model, d), o_im = loadRow(grad, o + n + 1, d_model, d);
        if (t + 1 < chunk) {
          const next = rowR(t + 1, chunk, size) + n;
          const n_re = loadRow(grad, next, d_model, d), n_im = loadRow(grad, next + 1, d_model, d);
          r_re = f32x4.add(r_re, conjRe(a_re, a_im, n_re, n_im));
          r_im = f32x4.add(r_im, conjIm(a_re, a_im, n_re, n_im));
          const m_re = loadRow(grad, o + size + n, d_model, d), m_im = loadRow(grad, o + size + n + 1, d_model, d);
          o_re = f32x4.add(o_re, mulRe(a_re, a_im, m_re, m_im));
          o_im = f32x4.add(o_im, mulIm(a_re, a_im, m_re, m_im));
        }
        if (isLow) {
          const p_re = loadRow(system, 2 * size + n, d_model, d), p_im = loadRow(system, 2 * size + n + 1, d_model, d);
          const q_re = loadRow(system, 3 * size + n, d_model, d), q_im = loadRow(system, 3 * size + n + 1, d_model, d);
          r_re = madd(later_r, q_re, r_re);
          r_im = madd(later_r, q_im, r_im);
          o_re = madd(later_o, p_re, o_re);
          o_im = madd(later_o, p_im, o_im);
          op = f32x4.add(op, conjRe(p_re, p_im, before(rec, t, n, d), before(rec, t, n + 1, d)));
          ph = f32x4.sub(ph, conjRe(p_re, p_im, r_re, r_im));
          qh = f32x4.sub(qh, conjRe(q_re, q_im, o_re, o_im));
          if (t > 0) {
            const last = rowR(t - 1, chunk, size) + n;
            qr = madd(q_re, loadRow(table, last, d_model, d), madd(q_im, loadRow(table, last + 1, d_model, d), qr));
          }
        }
        storeRow(grad, r + n, d_model, d, r_re);
        storeRow(grad, r + n + 1, d_model, d, r_im);
        storeRow(grad, o + n, d_model, d, o_re);
        storeRow(grad, o + n + 1, d_model, d, o_im);
      }
      later_r = ph;
      later_o = qh;
      for (let n: u32 = 0; n < size; n += 2) addGradients(rec, t, n, d, qr, op, ph, qh);
    }
    storeRow(arg(rec, 6), 0, d_model, d, loadRow(grad, 0, d_model, d));
  }
}

/** Zeros, and the gradient through E. */
function startGradients(rec: usize, d: u32): void {
  const d_model = arg(rec, 7);
  const size = arg(rec, 8) * 2;
  const chunk = arg(rec, 9);
  const isLow = arg(rec, 10) != 0;
  const rows: u32 = isLow ? size * 4 : size * 2;
  for (let i: u32 = 0; i < rows; i++) storeRow(arg(rec, 4), i, d_model, d, f32x4.splat(0));
  for (let i: u32 = 0; i < size; i++) storeRow(arg(rec, 5), i, d_model, d, f32x4.splat(0));
  if (isLow) return;
  const E = chunk + 2 * chunk * size;
  for (let n: u32 = 0; n < size; n += 2) {
    const a_re = loadRow(arg(rec, 0), n, d_model, d), a_im = loadRow(arg(rec, 0), n + 1, d_model, d);
    let re = f32x4.splat(<f32>chunk), im = f32x4.splat(0);
    for (let t: u32 = 1; t < chunk; t++) {
      const next = mulRe(a_re, a_im, re, im);
      im = mulIm(a_re, a_im, re, im);
      re = next;
    }
    const g_re = loadRow(arg(rec, 3), E + n, d_model, d), g_im = loadRow(arg(rec, 3), E + n + 1, d_model, d);
    storeRow(arg(rec, 4), n, d_model, d, conjRe(re, im, g_re, g_im));
    storeRow(arg(rec, 4), n + 1, d_model, d, conjIm(re, im, g_re, g_im));
  }
}

/** What step t gives for the pair of rows n and n + 1. */
function addGradients(rec: usize, t: u32, n: u32, d: u32, qr: v128, op: v128, ph: v128, qh: v128): void {
  const system: usize = arg(rec, 0);
  const table: usize = arg(rec, 2);
  const grad: usize = arg(rec, 3);
  const d_model = arg(rec, 7);
  const size = arg(rec, 8) * 2;
  const chunk = arg(rec, 9);
  const isLow = arg(rec, 10) != 0;
  const r = rowR(t, chunk, size) + n;
  const o = chunk + t * size + n;
  const r_re = loadRow(grad, r, d_model, d), r_im = loadRow(grad, r + 1, d_model, d);
  const o_re = loadRow(grad, o, d_model, d), o_im = loadRow(grad, o + 1, d_model, d);
  const b_re = before(rec, t, n, d), b_im = before(rec, t, n + 1, d);
  const k = loadRow(grad, t, d_model, d);
  let a_re = conjRe(o_re, o_im, b_re, b_im), a_im = conjIm(o_re, o_im, b_re, b_im);
  let c_re = f32x4.mul(k, loadRow(table, r, d_model, d)), c_im = f32x4.mul(k, loadRow(table, r + 1, d_model, d));
  let p_re = f32x4.mul(qh, b_re), p_im = f32x4.mul(qh, b_im);
  let q_re = f32x4.neg(f32x4.mul(op, o_re)), q_im = f32x4.neg(f32x4.mul(op, o_im));
  if (t > 0) {
    const last = rowR(t - 1, chunk, size) + n;
    const x_re = loadRow(table, last, d_model, d), x_im = loadRow(table, last + 1, d_model, d);
    a_re = f32x4.add(a_re, conjRe(x_re, x_im, r_re, r_im));
    a_im = f32x4.add(a_im, conjIm(x_re, x_im, r_re, r_im));
    p_re = f32x4.sub(p_re, f32x4.mul(qr, r_re));
    p_im = f32x4.sub(p_im, f32x4.mul(qr, r_im));
    q_re = madd(ph, x_re, q_re);
    q_im = madd(ph, x_im, q_im);
  } else {
    addRow(arg(rec, 4), size + n, d_model, d, r_re);
    addRow(arg(rec, 4), size + n + 1, d_model, d, r_im);
    const s_re = loadRow(system, n, d_model, d), s_im = loadRow(system, n + 1, d_model, d);
    c_re = f32x4.add(c_re, mulRe(s_re, s_im, o_re, o_im));
    c_im = f32x4.add(c_im, mulIm(s_re, s_im, o_re, o_im));
    if (isLow) {
      c_re = madd(qh, loadRow(system, 2 * size + n, d_model, d), c_re);
      c_im = madd(qh, loadRow(system, 2 * size + n + 1, d_model, d), c_im);
    }
  }
  addRow(arg(rec, 4), n, d_model, d, a_re);
  addRow(arg(rec, 4), n + 1, d_model, d, a_im);
  addRow(arg(rec, 5), n, d_model, d, f32x4.mul(f32x4.splat(2), c_re));
  addRow(arg(rec, 5), n + 1, d_model, d, f32x4.mul(f32x4.splat(-2), c_im));
  if (!isLow) return;
  addRow(arg(rec, 4), 2 * size + n, d_model, d, p_re);
  addRow(arg(rec, 4), 2 * size + n + 1, d_model, d, p_im);
  addRow(arg(rec, 4), 3 * size + n, d_model, d, q_re);
  addRow(arg(rec, 4), 3 * size + n + 1, d_model, d, q_im);
}

/** What an output takes of row n of a state. */
// @ts-ignore: decorator
@inline
function output(rec: usize, n: u32, d: u32): v128 {
  return f32x4.mul(f32x4.splat(n % 2 == 0 ? 2 : -2), loadRow(arg(rec, 1), n, arg(rec, 7), d));
}

/** Row n of O[t - 1], and before the first what an output takes of it. */
// @ts-ignore: decorator
@inline
function before(rec: usize, t: u32, n: u32, d: u32): v128 {
  if (t == 0) return output(rec, n, d);
  return loadRow(arg(rec, 2), arg(rec, 9) + (t - 1) * arg(rec, 8) * 2 + n, arg(rec, 7), d);
}

// @ts-ignore: decorator
@inline
function addRow(base: usize, row: u32, d_model: u32, d: u32, values: v128): void {
  storeRow(base, row, d_model, d, f32x4.add(loadRow(base, row, d_model, d), values));
}
