// s4d_pass_bwd: the gradient of s4d_pass's E: see kernels/s4d_pass_bwd.wgsl.
// Items: pairs of four channels.
// Arguments: states, grad_states, grad_E, d_model, pairs, batch, slots, slots of gradients, count

import { conjIm, conjRe } from "./complex";
import { arg } from "./record";
import { loadRow, storeRow } from "./rows";

export function s4dPassBwd(rec: usize, begin: u32, end: u32): void {
  const states: usize = arg(rec, 0);
  const gradients: usize = arg(rec, 1);
  const d_model = arg(rec, 3);
  const pairs = arg(rec, 4);
  const blocks = (d_model + 3) / 4;
  for (let item = begin; item < end; item++) {
    const d = item % blocks * 4;
    const n = item / blocks;
    let re = f32x4.splat(0), im = re;
    for (let b: u32 = 0; b < arg(rec, 5); b++) {
      for (let c: u32 = 0; c + 1 < arg(rec, 8); c++) {
        const x = ((b * arg(rec, 6) + c) * pairs + n) * 2;
        const g = ((b * arg(rec, 7) + c + 1) * pairs + n) * 2;
        const x_re = loadRow(states, x, d_model, d), x_im = loadRow(states, x + 1, d_model, d);
        const g_re = loadRow(gradients, g, d_model, d), g_im = loadRow(gradients, g + 1, d_model, d);
        re = f32x4.add(re, conjRe(x_re, x_im, g_re, g_im));
        im = f32x4.add(im, conjIm(x_re, x_im, g_re, g_im));
      }
    }
    storeRow(arg(rec, 2), 2 * n, d_model, d, re);
    storeRow(arg(rec, 2), 2 * n + 1, d_model, d, im);
  }
}
