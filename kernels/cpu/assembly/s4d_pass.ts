// s4d_pass: states from chunk to chunk, or gradients back: see kernels/s4d_pass.wgsl.
// Items: pairs of four channels of a sequence.
// Arguments: E, states (batch, slots, pairs, 2, d_model), d_model, pairs, slots, count, whether in reverse

import { conjIm, conjRe, mulIm, mulRe } from "./complex";
import { arg } from "./record";
import { loadRow, storeRow } from "./rows";

export function s4dPass(rec: usize, begin: u32, end: u32): void {
  const E: usize = arg(rec, 0);
  const states: usize = arg(rec, 1);
  const d_model = arg(rec, 2);
  const pairs = arg(rec, 3);
  const count = arg(rec, 5);
  const isReverse = arg(rec, 6) != 0;
  const blocks = (d_model + 3) / 4;
  for (let item = begin; item < end; item++) {
    const d = item % blocks * 4;
    const n = item / blocks % pairs;
    const b = item / blocks / pairs;
    const e_re = loadRow(E, 2 * n, d_model, d), e_im = loadRow(E, 2 * n + 1, d_model, d);
    let row = ((b * arg(rec, 4) + (isReverse ? count - 1 : 0)) * pairs + n) * 2;
    let re = loadRow(states, row, d_model, d), im = loadRow(states, row + 1, d_model, d);
    for (let i: u32 = 1; i < count; i++) {
      row = isReverse ? row - 2 * pairs : row + 2 * pairs;
      const next = isReverse ? conjRe(e_re, e_im, re, im) : mulRe(e_re, e_im, re, im);
      im = isReverse ? conjIm(e_re, e_im, re, im) : mulIm(e_re, e_im, re, im);
      re = f32x4.add(next, loadRow(states, row, d_model, d));
      im = f32x4.add(im, loadRow(states, row + 1, d_model, d));
      storeRow(states, row, d_model, d, re);
      storeRow(states, row + 1, d_model, d, im);
    }
  }
}
