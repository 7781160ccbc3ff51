// mamba3_rates_bwd: back through the rates and the turns of mamba3_inputs, from their gradients:
//   grad_dt = A grad_dtA + lambda grad_gamma + (1 - lambda) grad_delta + sum over j of pi tanh(angles[j]) grad_turn[j]
//   grad_dd_dt = grad_dt sigmoid(dd_dt + dt_bias), also in dt_rows, whose sum over steps is dt_bias's
//   grad_dd_A = -f'(dd_A) dt grad_dtA where A is below -A_floor
//   grad_trap = lambda (1 - lambda) dt (grad_gamma - grad_delta)
//   grad_angles[j] = pi (1 - tanh(angles[j])^2) sum over h of dt[h] grad_turn[h, j]
// Items: rows.
// Arguments: dd_dt in the first row of zxBCdt, from row to row of it, dt_bias, rates (batch, nheads, seqlen, 4), grad_rates,
//   gradients of turns (rows, nheads, angles), dd_dt in the first row of grad_zxBCdt, dt_rows (rows, nheads), seqlen, nheads,
//   angles, whether f has the heavy tail, A_floor

import { tanh } from "./angle";
import { sigmoid, softplus } from "./mamba3_inputs";
import { arg, argF32 } from "./record";

export function mamba3RatesBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 8);
  const nheads = arg(rec, 9);
  const angles = arg(rec, 10);
  const pi: f32 = 3.14159265;
  const one: f32 = 1;
  for (let row = begin; row < end; row++) {
    const place: usize = row * arg(rec, 1) * 4;
    const from = arg(rec, 0) + place;
    const to = arg(rec, 6) + place;
    const behind: usize = 3 * nheads * 4; // the angles
    const turns = arg(rec, 5) + row * nheads * angles * 4;
    memory.fill(to + behind, 0, angles * 4);
    for (let h: u32 = 0; h < nheads; h++) {
      const step = ((row / seqlen * nheads + h) * seqlen + row % seqlen) * 16;
      const grads = arg(rec, 4) + step;
      const dt = load<f32>(arg(rec, 3) + step);
      let grad_dt: f32 = 0;
      for (let j: u32 = 0; j < angles; j++) {
        const turn = load<f32>(turns + (h * angles + j) * 4);
        const own = tanh(load<f32>(from + behind + j * 4));
        grad_dt += pi * own * turn;
        const grad_angle = to + behind + j * 4;
        store<f32>(grad_angle, load<f32>(grad_angle) + pi * (one - own * own) * dt * turn);
      }
      const raw = load<f32>(from + h * 4) + load<f32>(arg(rec, 2) + h * 4);
      const dd_A = load<f32>(from + (nheads + h) * 4);
      const trap = load<f32>(from + (2 * nheads + h) * 4);
      const isHeavy = arg(rec, 11) != 0;
      const heavy: f32 = dd_A >= 0 ? one + dd_A : one / (one - dd_A);
      const heavySlope: f32 = dd_A >= 0 ? one : heavy * heavy;
      const f = isHeavy ? heavy : softplus(dd_A);
      const slope = isHeavy ? heavySlope : sigmoid(dd_A);
      const grad_dtA = load<f32>(grads, 4);
      const grad_gamma = load<f32>(grads, 8);
      const grad_delta = load<f32>(grads, 12);
      const lambda = sigmoid(trap);
      const rest = sigmoid(-trap);
      grad_dt += min<f32>(-f, -argF32(rec, 12)) * grad_dtA + lambda * grad_gamma + rest * grad_delta;
      const grad_raw = grad_dt * sigmoid(raw);
      store<f32>(to + h * 4, grad_raw);
      store<f32>(arg(rec, 7) + (row * nheads + h) * 4, grad_raw);
      store<f32>(to + (nheads + h) * 4, f > argF32(rec, 12) ? -slope * dt * grad_dtA : <f32>0);
      store<f32>(to + (2 * nheads + h) * 4, lambda * rest * dt * (grad_gamma - grad_delta));
    }
  }
}
