// mamba3_vkq_bwd: back through mamba3_inputs to where it adds biases, in place: gradients of k and q are turned back, and
//   grad_turn[t, j] = sum over steps from t on, ranks, k and q of what turning by a little more would change
//   grad_x = sum over r of grad_v mimo_x; in place of grad_v comes x grad_v, whose sum over steps is mimo_x's gradient
// Items: heads of a sequence.
// Arguments: x in the first row of zxBCdt, from row to row of it, mimo_x or 0, thetas (batch, seqlen, nheads, angles), vkq
//   (batch, seqlen, rank, [v, k, q]), grad_vkq, grad_thetas: of turns, x in the first row of grad_zxBCdt, seqlen, nheads,
//   headdim, d_state, rank, angles, whether they are MIMO's pairs

import { cosine, cosSin, sine } from "./angle";
import { arg } from "./record";

export function mamba3VkqBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 8);
  const nheads = arg(rec, 9);
  const headdim = arg(rec, 10);
  const d_state = arg(rec, 11);
  const rank = arg(rec, 12);
  const angles = arg(rec, 13);
  const d_inner = nheads * headdim;
  const ld: usize = (d_inner + 2 * nheads * d_state) * 4;
  for (let item = begin; item < end; item++) {
    const b = item / nheads;
    const h = item % nheads;
    for (let t = seqlen; t-- > 0;) {
      const row = b * seqlen + t;
      const own = arg(rec, 4) + row * rank * ld;
      const grads = arg(rec, 5) + row * rank * ld;
      inputBwd(rec, row, h, grads, ld);
      const turns = arg(rec, 6) + (row * nheads + h) * angles * 4;
      for (let j: u32 = 0; j < angles; j++) {
        cosSin(load<f32>(arg(rec, 3) + ((row * nheads + h) * angles + j) * 4));
        let sum: f32 = t + 1 < seqlen ? load<f32>(turns + (nheads * angles + j) * 4) : 0;
        const n: usize = arg(rec, 14) != 0 ? j * 4 : j * 8;
        const apart: usize = arg(rec, 14) != 0 ? d_state * 2 : 4;
        for (let r: u32 = 0; r < 2 * rank; r++) {
          const at: usize = (r >> 1) * ld + (d_inner + ((r & 1) * nheads + h) * d_state) * 4 + n;
          const a = load<f32>(grads + at);
          const c = load<f32>(grads + at + apart);
          sum += c * load<f32>(own + at) - a * load<f32>(own + at + apart);
          store<f32>(grads + at, a * cosine + c * sine);
          store<f32>(grads + at + apart, c * cosine - a * sine);
        }
        store<f32>(turns + j * 4, sum);
      }
    }
  }
}

/** The gradient of x of a head, and x grad_v. */
function inputBwd(rec: usize, row: u32, h: u32, grads: usize, ld: usize): void {
  const headdim = arg(rec, 10);
  const rank = arg(rec, 12);
  const column: usize = h * headdim * 4;
  for (let p: usize = 0; p < headdim * 4; p += 4) {
    const place = row * arg(rec, 1) * 4 + column + p;
    const x = load<f32>(arg(rec, 0) + place);
    let sum: f32 = 0;
    for (let r: u32 = 0; r < rank; r++) {
      const at = grads + r * ld + column + p;
      const grad = load<f32>(at);
      sum += arg(rec, 2) == 0 ? grad : grad * load<f32>(arg(rec, 2) + (h * rank + r) * headdim * 4 + p);
      store<f32>(at, x * grad);
    }
    store<f32>(arg(rec, 7) + place, sum);
  }
}
