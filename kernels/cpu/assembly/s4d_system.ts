// s4d_system: S4D's recurrence of one step: see kernels/s4d_system.wgsl.
//   w = exp(log_step) A      a = exp(w)      b = (exp(w) - 1) / A      A = min(A_re, -1e-4) + i A_im
// In f64, rounded once. Items: channels.
// Arguments: A_re, A_im, log_step, system ([a, b], pairs, 2, d_model), d_model, pairs

import { cosm1, DECAY_LIMIT, expm1, sin } from "./exponentials";
import { arg } from "./record";

export function s4dSystem(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 4);
  const pairs = arg(rec, 5);
  const b = arg(rec, 3) + 2 * pairs * d_model * 4;
  for (let d = begin; d < end; d++) {
    const step = 1 + expm1(load<f32>(arg(rec, 2) + d * 4));
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (n * d_model + d) * 4;
      const re = min(<f64>load<f32>(arg(rec, 0) + at), DECAY_LIMIT);
      const im = <f64>load<f32>(arg(rec, 1) + at);
      const e = expm1(step * re);
      const turn = cosm1(step * im);
      const e_re = e + turn + e * turn;
      const e_im = (1 + e) * sin(step * im);
      const square = re * re + im * im;
      const to: usize = (2 * n * d_model + d) * 4;
      store<f32>(arg(rec, 3) + to, <f32>(1 + e_re));
      store<f32>(arg(rec, 3) + to + d_model * 4, <f32>e_im);
      store<f32>(b + to, <f32>((e_re * re + e_im * im) / square));
      store<f32>(b + to + d_model * 4, <f32>((e_im * re - e_re * im) / square));
    }
  }
}
