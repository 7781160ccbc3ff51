// s4d_system_bwd: gradients of S4D's A and log_step, from those of a and b: see kernels/s4d_system_bwd.wgsl.
// In f64. Items: channels.
// Arguments: A_re, A_im, log_step, grad_system, grad_A_re, grad_A_im, grad_log_step, d_model, pairs

import { cosm1, DECAY_LIMIT, expm1, sin } from "./exponentials";
import { arg } from "./record";

export function s4dSystemBwd(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 7);
  const pairs = arg(rec, 8);
  const second = 2 * pairs * d_model * 4;
  for (let d = begin; d < end; d++) {
    const step = 1 + expm1(load<f32>(arg(rec, 2) + d * 4));
    let grad_step: f64 = 0;
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (n * d_model + d) * 4;
      const limited = <f64>load<f32>(arg(rec, 0) + at);
      const re = min(limited, DECAY_LIMIT);
      const im = <f64>load<f32>(arg(rec, 1) + at);
      const square = re * re + im * im;
      const e = expm1(step * re);
      const turn = cosm1(step * im);
      const e_re = e + turn + e * turn;
      const e_im = (1 + e) * sin(step * im);
      const a_re = 1 + e_re;
      const g = arg(rec, 3) + (2 * n * d_model + d) * 4;
      const ga_re = <f64>load<f32>(g);
      const ga_im = <f64>load<f32>(g + d_model * 4);
      const gb_re = <f64>load<f32>(g + second);
      const gb_im = <f64>load<f32>(g + second + d_model * 4);
      // a / A, and b / A by way of b.
      const f_re = (a_re * re + e_im * im) / square;
      const f_im = (e_im * re - a_re * im) / square;
      const b_re = (e_re * re + e_im * im) / square;
      const b_im = (e_im * re - e_re * im) / square;
      const h_re = (b_re * re + b_im * im) / square;
      const h_im = (b_im * re - b_re * im) / square;
      const gw_re = a_re * ga_re + e_im * ga_im + f_re * gb_re + f_im * gb_im;
      const gw_im = a_re * ga_im - e_im * ga_re + f_re * gb_im - f_im * gb_re;
      const gA_re = step * gw_re - (h_re * gb_re + h_im * gb_im);
      const gA_im = step * gw_im - (h_re * gb_im - h_im * gb_re);
      store<f32>(arg(rec, 4) + at, limited <= DECAY_LIMIT ? <f32>gA_re : 0);
      store<f32>(arg(rec, 5) + at, <f32>gA_im);
      grad_step += step * (re * gw_re + im * gw_im);
    }
    store<f32>(arg(rec, 6) + d * 4, <f32>grad_step);
  }
}
