// mamba3_mimo_x_bwd: the gradient that mimo_x has by what mamba3_scan adds to the state it begins with:
//   grad_mimo_x[r, p] = sum over b of delta[0] v[p] grad_state[p] . k[r]
// with k and v of the step before the first.
// Items: heads.
// Arguments: rates (batch, nheads, seqlen, 4), grad_state (batch, nheads, headdim, d_state), k (batch, rank, nheads, d_state),
//   v (batch, nheads, headdim), grad_mimo_x (nheads, rank, headdim), batch, seqlen, nheads, headdim, d_state, rank

import { dot } from "./mamba3_scan";
import { arg } from "./record";

export function mamba3MimoXBwd(rec: usize, begin: u32, end: u32): void {
  const batch = arg(rec, 5);
  const seqlen = arg(rec, 6);
  const nheads = arg(rec, 7);
  const headdim = arg(rec, 8);
  const d_state = arg(rec, 9);
  const rank = arg(rec, 10);
  for (let h = begin; h < end; h++) {
    for (let r: u32 = 0; r < rank; r++) {
      for (let p: u32 = 0; p < headdim; p++) {
        let sum: f32 = 0;
        for (let b: u32 = 0; b < batch; b++) {
          const head = b * nheads + h;
          const channel = head * headdim + p;
          const k = arg(rec, 2) + ((b * rank + r) * nheads + h) * d_state * 4;
          const delta = load<f32>(arg(rec, 0) + head * seqlen * 16, 12);
          const product = dot(arg(rec, 1) + channel * d_state * 4, k, d_state);
          sum += delta * load<f32>(arg(rec, 3) + channel * 4) * product;
        }
        store<f32>(arg(rec, 4) + ((h * rank + r) * headdim + p) * 4, sum);
      }
    }
  }
}
