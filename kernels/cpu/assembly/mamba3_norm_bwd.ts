// mamba3_norm_bwd: back through the norm of B or C. With g what mamba3_vkq_bwd left, summed over the heads of a group, and b
// the raw values:
//   grad_b = rstd (weight g - b rstd mean(weight g b rstd))     grad_norm = sum over r and groups of g b rstd
// Items: rows.
// Arguments: B or C in the first row of zxBCdt, from row to row of it, weight, k or q in the first row of grad_vkq, from rank
//   to rank of it, B or C in the first row of grad_zxBCdt, grad_norm (rows, d_state), nheads, d_state, ngroups, rank, eps
// Scratch: g

import { threadScratch } from "./control";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";

export function mamba3NormBwd(rec: usize, begin: u32, end: u32): void {
  const weight = arg(rec, 2);
  const ngroups = arg(rec, 9);
  const d_state = arg(rec, 8);
  const heads = arg(rec, 7) / ngroups;
  const rank = arg(rec, 10);
  const g = threadScratch();
  const size: usize = d_state * 4;
  for (let row = begin; row < end; row++) {
    const grad_norm = arg(rec, 6) + row * size;
    memory.fill(grad_norm, 0, size);
    for (let i: u32 = 0; i < rank * ngroups; i++) {
      const first = row * arg(rec, 1) * 4 + i * size;
      const own = arg(rec, 0) + first;
      const grads = arg(rec, 3) + (row * rank + i / ngroups) * arg(rec, 4) * 4 + i % ngroups * heads * size;
      const rstd = rstdOf(own, d_state, argF32(rec, 11));
      let mean: f32 = 0;
      for (let n: usize = 0; n < size; n += 4) {
        let sum: f32 = 0;
        for (let h: u32 = 0; h < heads; h++) sum += load<f32>(grads + h * size + n);
        store<f32>(g + n, sum);
        mean += load<f32>(weight + n) * sum * load<f32>(own + n);
      }
      mean *= rstd / <f32>d_state;
      for (let n: usize = 0; n < size; n += 4) {
        const normed = load<f32>(own + n) * rstd;
        const grad = load<f32>(g + n);
        store<f32>(arg(rec, 5) + first + n, rstd * (load<f32>(weight + n) * grad - normed * mean));
        store<f32>(grad_norm + n, load<f32>(grad_norm + n) + grad * normed);
      }
    }
  }
}
