// mamba3_gate_fwd: out[p] = sum over ranks r of norm(y[r])[p] silu(z[p] mimo_z[r, p]) mimo_o[r, p] for each head, without
// the factors where there are none. norm(y) = y, or with a weight y weight / sqrt(mean(y^2) + eps) over the head.
// Items: heads of a row.
// Arguments: y (rows, rank, d_inner), z in the first row of zxBCdt, from row to row of that, mimo_z or 0, mimo_o, weight or
//   0, out (rows, d_inner), nheads, headdim, rank, eps

import { loadLanes, storeLanes } from "./lanes";
import { silu4 } from "./math";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";
import { madd } from "./simd";

export function mamba3GateFwd(rec: usize, begin: u32, end: u32): void {
  const weight = arg(rec, 5);
  const nheads = arg(rec, 7);
  const headdim = arg(rec, 8);
  const rank = arg(rec, 9);
  for (let item = begin; item < end; item++) {
    const row = item / nheads;
    const h = item % nheads;
    const column: usize = h * headdim * 4;
    const z = arg(rec, 1) + row * arg(rec, 2) * 4 + column;
    const out = arg(rec, 6) + row * nheads * headdim * 4 + column;
    for (let r: u32 = 0; r < rank; r++) {
      const y = arg(rec, 0) + (row * rank + r) * nheads * headdim * 4 + column;
      const rstd = f32x4.splat(weight == 0 ? 1 : rstdOf(y, headdim, argF32(rec, 10)));
      const factors: usize = (h * rank + r) * headdim * 4;
      for (let p: u32 = 0; p < headdim; p += 4) {
        const at: usize = p * 4;
        const left = headdim - p;
        let value = f32x4.mul(loadLanes(y + at, left), rstd);
        if (weight != 0) value = f32x4.mul(value, loadLanes(weight + column + at, left));
        let gate = loadLanes(z + at, left);
        if (arg(rec, 3) != 0) {
          gate = f32x4.mul(gate, loadLanes(arg(rec, 3) + factors + at, left));
          value = f32x4.mul(value, loadLanes(arg(rec, 4) + factors + at, left));
        }
        const before = r == 0 ? f32x4.splat(0) : loadLanes(out + at, left);
        storeLanes(out + at, left, madd(value, silu4(gate), before));
      }
    }
  }
}
