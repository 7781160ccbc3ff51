// ssd_bwd: gradients of ssd_fwd, backwards through time from the states that it kept. With q the gradient of s after a
// step, A_bar = exp(dt A), and sums over p and n of a head:
//   q = q + C grad_y[p] (then, for the step before, A_bar q)      grad_C = sum grad_y[p] s[p]    grad_B = sum q[p] dt x[p]
//   grad_x[p] = D grad_y[p] + dt (q[p] . B)      grad_D = sum_t grad_y[p] x[p]
//   through_A = sum q A_bar s_before      through_B = sum_p x[p] (q[p] . B)      grad_A_log = A sum_t dt through_A
//   grad_dt = sigmoid(dt_raw + dt_bias) (A through_A + through_B) where dt is within its limits, else 0
// Items: heads of a sequence, of each four channels after the other, for which see ssd_quad_bwd. Sums over more than a
// head are left as partials: of B and C by head, of the parameters by sequence.
// Arguments: those of ssd_fwd, but for batch in place of z and grad_y in that of y; then x in the first row of grad_xBC,
//   which is laid out as xBC; partials of B and C (nheads, batch, seqlen, 2, d_state in whole vectors); dt in the first row
//   of grad_zxbcdt, laid out as zxbcdt; partials of A_log (batch, nheads), of dt_bias likewise, of D behind them;
//   grad_state (batch, nheads, headdim, d_state), whether that holds the gradient of the final state
// Scratch: dt, exp(dt A), through_A and through_B of every step, each in whole vectors; see ssd_quad_bwd

import { threadScratch } from "./control";
import { exp, sigmoid4, softplus4 } from "./math";
import { arg } from "./record";
import { prepareSteps, vectorsOf } from "./ssd_fwd";
import { quadBwd } from "./ssd_quad_bwd";

export function ssdBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 10);
  const nheads = arg(rec, 11);
  const headdim = arg(rec, 12);
  const size: usize = headdim * arg(rec, 13) * 4;
  const D_has_hdim = arg(rec, 17) != 0;
  const batch = arg(rec, 2);
  const vectors = vectorsOf(seqlen);
  const dt = threadScratch();
  const A_bar = dt + vectors;
  const through_A = A_bar + vectors;
  const through_B = through_A + vectors;
  for (let item = begin; item < end; item++) {
    const b = item / nheads;
    const h = item % nheads;
    prepareSteps(rec, b, h, dt, A_bar);
    memory.fill(through_A, 0, 2 * vectors);
    if (arg(rec, 24) == 0) memory.fill(arg(rec, 23) + item * size, 0, size);
    const D_partials = arg(rec, 22) + 2 * batch * nheads * 4;
    let D_sum: f32 = 0;
    for (let p: u32 = 0; p < headdim; p += 4) {
      const own: usize = D_has_hdim ? D_partials + (item * headdim + p) * 4 : 0;
      D_sum += quadBwd(rec, b, h, p, dt, A_bar, through_A, through_B, own);
    }
    if (!D_has_hdim) store<f32>(D_partials + item * 4, D_sum);
    finishSteps(rec, b, h, dt, through_A, through_B, arg(rec, 22) + item * 4, batch * nheads * 4);
  }
}

/** grad_dt of a head's steps, and its part of A_log's gradient at `partials` and of dt_bias's `next` bytes behind. */
function finishSteps(
  rec: usize, b: u32, h: u32, dt: usize, through_A: usize, through_B: usize, partials: usize, next: usize,
): void {
  const seqlen = arg(rec, 10);
  const ld: usize = arg(rec, 4) * 4;
  const first: usize = b * seqlen * ld + h * 4;
  const bias = load<f32>(arg(rec, 7) + h * 4);
  const A = -exp(load<f32>(arg(rec, 5) + h * 4));
  let A_sum: f32 = 0;
  let bias_sum: f32 = 0;
  for (let t: u32 = 0; t < seqlen; t++) {
    const raw = f32x4.splat(load<f32>(arg(rec, 3) + first + t * ld) + bias);
    const own = load<f32>(dt + t * 4);
    const through = load<f32>(through_A + t * 4);
    let grad: f32 = 0;
    // Within the limits, both included, dt is softplus itself.
    if (f32x4.extract_lane(softplus4(raw), 0) == own) {
      grad = f32x4.extract_lane(sigmoid4(raw), 0) * (A * through + load<f32>(through_B + t * 4));
    }
    store<f32>(arg(rec, 21) + first + t * ld, grad);
    A_sum += own * through;
    bias_sum += grad;
  }
  store<f32>(partials, A * A_sum);
  store<f32>(partials + next, bias_sum);
}
