// s4_system_bwd: gradients of S4's Lambda, P, B and log_step: names and formulas as in kernels/s4_system_bwd.wgsl.
// In f64. Items: channels.
// Arguments: system, Lambda_re, grad_system, grad_Lambda_re, grad_Lambda_im, grad_P, grad_B, grad_log_step, d_model, pairs

import { DECAY_LIMIT } from "./exponentials";
import { arg } from "./record";

/** Of the pair that is looked at. */
let G_re: f64 = 0, G_im: f64 = 0;
let P_re: f64 = 0, P_im: f64 = 0;
let p_re: f64 = 0, p_im: f64 = 0;

export function s4SystemBwd(rec: usize, begin: u32, end: u32): void {
  const system: usize = arg(rec, 0);
  const d_model = arg(rec, 8);
  const pairs = arg(rec, 9);
  const block: usize = pairs * 2 * d_model * 4;
  const row: usize = d_model * 4;
  for (let d = begin; d < end; d++) {
    const z = 2 / <f64>load<f32>(system + 4 * block + d * 4);
    let m: f64 = 1;
    let beta: f64 = 0;
    let w_beta: f64 = 0;
    let w_f: f64 = 0;
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (2 * n * d_model + d) * 4;
      const g = arg(rec, 2) + at;
      lookAt(system + at, block, row, z);
      m += 2 * (P_re * p_re + P_im * p_im);
      beta += 2 * (P_re * read(system + at + block) + P_im * read(system + at + block + row));
      w_beta -= p_re * read(g + block) + p_im * read(g + block + row);
      const h_re = P_re * G_re + P_im * G_im, h_im = P_re * G_im - P_im * G_re;
      w_f += 2 * (read(g + 3 * block) * h_re - read(g + 3 * block + row) * h_im);
    }
    const f = 2 * z / m;
    const w_m = -(w_beta * beta + w_f * f) / m;
    let w_z = 2 * w_f / m;
    for (let n: u32 = 0; n < pairs; n++) {
      const at: usize = (2 * n * d_model + d) * 4;
      const g = arg(rec, 2) + at;
      lookAt(system + at, block, row, z);
      const GB2_re = read(system + at + block) + beta * p_re, GB2_im = read(system + at + block + row) + beta * p_im;
      const a_re = read(g), a_im = read(g + row);
      const b_re = read(g + block), b_im = read(g + block + row);
      const q_re = 2 * read(g + 3 * block), q_im = -2 * read(g + 3 * block + row);
      const s = 2 * w_beta / m;
      const v_re = b_re + s * P_re, v_im = b_im + s * P_im;
      const wp_re = read(g + 2 * block) - beta * b_re + 2 * w_m * P_re;
      const wp_im = read(g + 2 * block + row) - beta * b_im + 2 * w_m * P_im;
      write(
        arg(rec, 5) + at, row,
        s * GB2_re + f * (G_re * q_re + G_im * q_im) + 2 * w_m * p_re + G_re * wp_re + G_im * wp_im,
        s * GB2_im + f * (G_im * q_re - G_re * q_im) + 2 * w_m * p_im + G_re * wp_im - G_im * wp_re,
      );
      write(arg(rec, 6) + at, row, 2 * (G_re * v_re + G_im * v_im), 2 * (G_re * v_im - G_im * v_re));
      // 2 B, by way of 2 G B.
      const square = G_re * G_re + G_im * G_im;
      const B2_re = (GB2_re * G_re + GB2_im * G_im) / square, B2_im = (GB2_im * G_re - GB2_re * G_im) / square;
      const wG_re = f * (P_re * q_re - P_im * q_im) + P_re * wp_re + P_im * wp_im + B2_re * v_re + B2_im * v_im;
      const wG_im = f * (P_re * q_im + P_im * q_re) + P_re * wp_im - P_im * wp_re + B2_re * v_im - B2_im * v_re;
      const s_re = G_re * G_re - G_im * G_im, s_im = 2 * G_re * G_im;
      const o_re = s_re * wG_re + s_im * wG_im, o_im = s_re * wG_im - s_im * wG_re;
      const place: usize = (n * d_model + d) * 4;
      const isFree = <f64>load<f32>(arg(rec, 1) + place) <= DECAY_LIMIT;
      store<f32>(arg(rec, 3) + place, isFree ? <f32>(o_re + 2 * z * (s_re * a_re + s_im * a_im)) : 0);
      store<f32>(arg(rec, 4) + place, <f32>(o_im + 2 * z * (s_re * a_im - s_im * a_re)));
      const t_re = read(system + at) - 1, t_im = read(system + at + row);
      w_z -= o_re + a_re * (t_re * G_re - t_im * G_im) + a_im * (t_re * G_im + t_im * G_re);
    }
    store<f32>(arg(rec, 7) + d * 4, <f32>(-z * w_z));
  }
}

/** G = (1 + a) / (2 z), p, and P = p / G. */
function lookAt(at: usize, block: usize, row: usize, z: f64): void {
  G_re = (1 + read(at)) / (2 * z);
  G_im = read(at + row) / (2 * z);
  p_re = read(at + 2 * block);
  p_im = read(at + 2 * block + row);
  const square = G_re * G_re + G_im * G_im;
  P_re = (p_re * G_re + p_im * G_im) / square;
  P_im = (p_im * G_re - p_re * G_im) / square;
}

// @ts-ignore: decorator
@inline
function read(at: usize): f64 {
  return load<f32>(at);
}

// @ts-ignore: decorator
@inline
function write(at: usize, row: usize, re: f64, im: f64): void {
  store<f32>(at, <f32>re);
  store<f32>(at + row, <f32>im);
}
