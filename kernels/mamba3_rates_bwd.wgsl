// mamba3_rates_bwd: back through mamba3_rates and mamba3_angles, from the gradients of rates and turns:
//   grad_dt = A grad_dtA + lambda grad_gamma + (1 - lambda) grad_delta + sum over j of pi tanh(angles[j]) grad_turn[j]
//   grad_dd_dt = grad_dt sigmoid(dd_dt + dt_bias), also in grad_dt_bias, whose sum over steps is dt_bias's
//   grad_dd_A = -f'(dd_A) dt grad_dtA where A is below -A_FLOOR
//   grad_trap = lambda (1 - lambda) dt (grad_gamma - grad_delta)
//   grad_angles[j] = pi (1 - tanh(angles[j])^2) sum over h of dt[h] grad_turn[h, j]
// A workgroup per step: a lane per head, then a lane per angle.
override NHEADS: u32;
override ANGLES: u32;
override D_IN_PROJ: u32;
override DT_START: u32;  // column of dd_dt in a row of zxBCdt; dd_A, trap and the angles follow
override HEAVY_TAIL: bool;
override A_FLOOR: f32;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;             // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> dt_bias: array<f32>;            // (NHEADS)
@group(0) @binding(2) var<storage, read> rates: array<vec4<f32>>;        // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(3) var<storage, read> grad_rates: array<vec4<f32>>;   // (batch, NHEADS, seqlen)
@group(0) @binding(4) var<storage, read> grad_thetas: array<f32>;        // (batch, seqlen, NHEADS, ANGLES): of turns
@group(0) @binding(5) var<storage, read_write> grad_zxBCdt: array<f32>;  // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(6) var<storage, read_write> grad_dt_bias: array<f32>; // (batch, seqlen, NHEADS)
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 64u;
const PI = 3.14159265;

@compute @workgroup_size(LANES)
fn mamba3_rates_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.z * params.seqlen + wid.y;
  let columns = row * D_IN_PROJ + DT_START;
  let angles = columns + 3u * NHEADS;
  for (var h = lane; h < NHEADS; h += LANES) {
    let step = (wid.z * NHEADS + h) * params.seqlen + wid.y;
    let rate = rates[step];
    let grad = grad_rates[step];
    let dd_A = zxBCdt[columns + NHEADS + h];
    let heavy = select(1.0 / (1.0 - dd_A), 1.0 + dd_A, dd_A >= 0.0);
    let heavy_slope = select(heavy * heavy, 1.0, dd_A >= 0.0);
    let f = select(softplus(dd_A), heavy, HEAVY_TAIL);
    let slope = select(1.0 / (1.0 + exp(-dd_A)), heavy_slope, HEAVY_TAIL);
    let lambda = 1.0 / (1.0 + exp(-zxBCdt[columns + 2u * NHEADS + h]));
    let rest = 1.0 / (1.0 + exp(zxBCdt[columns + 2u * NHEADS + h]));
    var grad_dt = min(-f, -A_FLOOR) * grad.y + lambda * grad.z + rest * grad.w;
    for (var j = 0u; j < ANGLES; j++) {
      grad_dt += PI * tanh_of(zxBCdt[angles + j]) * grad_thetas[(row * NHEADS + h) * ANGLES + j];
    }
    let grad_raw = grad_dt / (1.0 + exp(-(zxBCdt[columns + h] + dt_bias[h])));
    grad_zxBCdt[columns + h] = grad_raw;
    grad_dt_bias[row * NHEADS + h] = grad_raw;
    grad_zxBCdt[columns + NHEADS + h] = select(0.0, -slope * rate.x * grad.y, f > A_FLOOR);
    grad_zxBCdt[columns + 2u * NHEADS + h] = lambda * rest * rate.x * (grad.z - grad.w);
  }
  for (var j = lane; j < ANGLES; j += LANES) {
    var sum = 0.0;
    for (var h = 0u; h < NHEADS; h++) {
      sum += rates[(wid.z * NHEADS + h) * params.seqlen + wid.y].x * grad_thetas[(row * NHEADS + h) * ANGLES + j];
    }
    let turn = tanh_of(zxBCdt[angles + j]);
    grad_zxBCdt[angles + j] = PI * (1.0 - turn * turn) * sum;
  }
}
