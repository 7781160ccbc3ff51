// s4_system: S4's recurrence of one step, by the bilinear transform and Woodbury's identity: see kernels/s4_system.wgsl.
//   G = 1 / (z - Lambda)      a = 1 + 2 Lambda G      p = G P      q = 2 z conj(P) G / (1 + kappa)
//   b = 2 G B - p beta        kappa = P* G P          beta = (P* 2 G B) / (1 + kappa)         z = 2 / exp(log_step)
// In f64, rounded once. Items: channels.
// Arguments: Lambda_re, Lambda_im, P, B, log_step, system ([a, b, p, q], pairs, 2, d_model; the step), d_model, pairs

import { DECAY_LIMIT, expm1 } from "./exponentials";
import { arg } from "./record";

export function s4System(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 6);
  const pairs = arg(rec, 7);
  const system = arg(rec, 5);
  const block: usize = pairs * 2 * d_model * 4;
  const row: usize = d_model * 4;
  for (let d = begin; d < end; d++) {
    const step = 1 + expm1(load<f32>(arg(rec, 4) + d * 4));
    const z = 2 / step;
    let kappa: f64 = 0;
    let coupled: f64 = 0;
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (n * d_model + d) * 4;
      const to: usize = (2 * n * d_model + d) * 4;
      const re = min(<f64>load<f32>(arg(rec, 0) + at), DECAY_LIMIT);
      const im = <f64>load<f32>(arg(rec, 1) + at);
      const square = (z - re) * (z - re) + im * im;
      const G_re = (z - re) / square, G_im = im / square;
      const P_re = <f64>load<f32>(arg(rec, 2) + to), P_im = <f64>load<f32>(arg(rec, 2) + to + row);
      const B_re = <f64>load<f32>(arg(rec, 3) + to), B_im = <f64>load<f32>(arg(rec, 3) + to + row);
      kappa += 2 * G_re * (P_re * P_re + P_im * P_im);
      coupled += 4 * (P_re * (G_re * B_re - G_im * B_im) + P_im * (G_re * B_im + G_im * B_re));
    }
    const beta = coupled / (1 + kappa);
    const f = 2 * z / (1 + kappa);
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (n * d_model + d) * 4;
      const to: usize = (2 * n * d_model + d) * 4;
      const re = min(<f64>load<f32>(arg(rec, 0) + at), DECAY_LIMIT);
      const im = <f64>load<f32>(arg(rec, 1) + at);
      const square = (z - re) * (z - re) + im * im;
      const G_re = (z - re) / square, G_im = im / square;
      const P_re = <f64>load<f32>(arg(rec, 2) + to), P_im = <f64>load<f32>(arg(rec, 2) + to + row);
      const B_re = <f64>load<f32>(arg(rec, 3) + to), B_im = <f64>load<f32>(arg(rec, 3) + to + row);
      const p_re = G_re * P_re - G_im * P_im, p_im = G_re * P_im + G_im * P_re;
      storePair(system + to, row, 1 + 2 * (re * G_re - im * G_im), 2 * (re * G_im + im * G_re));
      storePair(
        system + block + to, row,
        2 * (G_re * B_re - G_im * B_im) - beta * p_re, 2 * (G_re * B_im + G_im * B_re) - beta * p_im,
      );
      storePair(system + 2 * block + to, row, p_re, p_im);
      // Twice the real part of q x is the sum of both parts' products with this.
      storePair(
        system + 3 * block + to, row,
        2 * f * (P_re * G_re + P_im * G_im), -2 * f * (P_re * G_im - P_im * G_re),
      );
    }
    store<f32>(system + 4 * block + d * 4, <f32>step);
  }
}

// @ts-ignore: decorator
@inline
function storePair(at: usize, row: usize, re: f64, im: f64): void {
  store<f32>(at, <f32>re);
  store<f32>(at + row, <f32>im);
}
