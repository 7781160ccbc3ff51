// s4_power: E = Abar^steps with Abar = diag(a) - p q^T, column by column: see kernels/s4_power.wgsl.
// Items: a column of four channels, in scratch while it goes through the steps.
// Arguments: system, E (2 pairs, 2 pairs, d_model), d_model, pairs, steps
// Scratch: a column, and the system, of four channels

import { mulIm, mulRe } from "./complex";
import { threadScratch } from "./control";
import { arg } from "./record";
import { packRows4, storeRow } from "./rows";
import { madd } from "./simd";

export function s4Power(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 2);
  const size = arg(rec, 3) * 2;
  const x = threadScratch();
  const a = x + size * 16;
  const p = a + 2 * size * 16;
  const q = p + size * 16;
  let packed: u32 = u32.MAX_VALUE;
  for (let item = begin; item < end; item++) {
    const d = item / size * 4;
    const k = item % size;
    if (packed != d) packRows4(arg(rec, 0) + d * 4, d_model * 4, d_model - d, a, 4 * size, 4 * size);
    packed = d;
    memory.fill(x, 0, size * 16);
    v128.store(x + k * 16, f32x4.splat(1));
    for (let t: u32 = 0; t < arg(rec, 4); t++) {
      let coupled = f32x4.splat(0);
      for (let n: usize = 0; n < size * 16; n += 16) coupled = madd(v128.load(q + n), v128.load(x + n), coupled);
      coupled = f32x4.neg(coupled);
      for (let n: usize = 0; n < size * 16; n += 32) {
        const a_re = v128.load(a + n), a_im = v128.load(a + n, 16);
        const x_re = v128.load(x + n), x_im = v128.load(x + n, 16);
        v128.store(x + n, madd(coupled, v128.load(p + n), mulRe(a_re, a_im, x_re, x_im)));
        v128.store(x + n, madd(coupled, v128.load(p + n, 16), mulIm(a_re, a_im, x_re, x_im)), 16);
      }
    }
    for (let i: u32 = 0; i < size; i++) storeRow(arg(rec, 1), i * size + k, d_model, d, v128.load(x + i * 16));
  }
}
