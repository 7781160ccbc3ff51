// mamba3_rates: what the recurrence of Mamba-3 needs of each step and head (arXiv 2603.15569), in four numbers:
//   dt = softplus(dd_dt + dt_bias)     dt A, with A = min(-f(dd_A), -A_FLOOR)     lambda dt and (1 - lambda) dt, with
//   lambda = sigmoid(trap), what a step's own input is multiplied by, and that of the step before
//   f(x) = 1 + x, and 1 / (1 - x) below 0; or softplus(x) if not HEAVY_TAIL
// A lane per step and head.
override NHEADS: u32;
override D_IN_PROJ: u32;
override DT_START: u32;  // column of dd_dt in a row of zxBCdt; dd_A and trap follow
override HEAVY_TAIL: bool;
override A_FLOOR: f32;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;            // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> dt_bias: array<f32>;           // (NHEADS)
@group(0) @binding(2) var<storage, read_write> rates: array<vec4<f32>>; // (batch, NHEADS, seqlen)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_rates(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i >= params.seqlen * NHEADS) {
    return;
  }
  let t = i / NHEADS;
  let h = i % NHEADS;
  let at = (wid.y * params.seqlen + t) * D_IN_PROJ + DT_START + h;
  let dt = softplus(zxBCdt[at] + dt_bias[h]);
  let dd_A = zxBCdt[at + NHEADS];
  let trap = zxBCdt[at + 2u * NHEADS];
  let heavy = select(1.0 / (1.0 - dd_A), 1.0 + dd_A, dd_A >= 0.0);
  let A = min(-select(softplus(dd_A), heavy, HEAVY_TAIL), -A_FLOOR);
  // Each by itself: 1 - lambda would lose what is near 0.
  rates[(wid.y * NHEADS + h) * params.seqlen + t] =
    vec4<f32>(dt, dt * A, dt / (1.0 + exp(-trap)), dt / (1.0 + exp(trap)));
}
