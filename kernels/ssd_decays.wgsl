// ssd_decays: dt of every step and head, and how far the state has decayed since its chunk began.
//   dt = clamp(softplus(dt_raw + dt_bias), DT_MIN, DT_MAX)      sum[t] = sum over the chunk's steps s <= t of dt[s] A
// Later kernels need exp(sum[t] - sum[s]), and a step that wipes the state makes both sums so large that f32 would lose
// the difference. So a sum is kept as a whole number, exact, and a fraction in [0, 1): differences of both are added.
// A workgroup serves a chunk of one batch entry and HEADS heads: a lane per element, then a lane per head for the sums.
override NHEADS: u32;
override DT_START: u32;  // column of dt in a row of zxbcdt
override CHUNK: u32;
override HEADS: u32;
override DT_MIN: f32;
override DT_MAX: f32;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxbcdt: array<f32>;             // (batch, seqlen, DT_START + NHEADS)
@group(0) @binding(1) var<storage, read> A_log: array<f32>;              // (NHEADS)
@group(0) @binding(2) var<storage, read> dt_bias: array<f32>;            // (NHEADS)
@group(0) @binding(3) var<storage, read_write> decays: array<vec4<f32>>; // (batch, NHEADS, seqlen): see below
@group(0) @binding(4) var<uniform> params: Params;

const LANES = 64u;
// Below this exp() is zero anyway; 1024 steps of it are still a whole number that f32 holds.
const LEAST = -10000.0;
// dt, dt A; then dt, the sum's whole part, its fraction, and exp(sum).
var<workgroup> tile: array<vec4<f32>, CHUNK * HEADS>;

@compute @workgroup_size(LANES)
fn ssd_decays(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h0 = wid.x * HEADS;
  let t0 = wid.y * CHUNK;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - t0);
  let heads = min(HEADS, NHEADS - h0);
  for (var i = lane; i < steps * heads; i += LANES) {
    let t = i / heads;
    let h = i % heads;
    let dt_raw = zxbcdt[(b * params.seqlen + t0 + t) * (DT_START + NHEADS) + DT_START + h0 + h] + dt_bias[h0 + h];
    let dt = clamp(softplus(dt_raw), DT_MIN, DT_MAX);
    tile[h * CHUNK + t] = vec4<f32>(dt, max(-dt * exp(A_log[h0 + h]), LEAST), 0.0, 0.0);
  }
  workgroupBarrier();
  if (lane < heads) {
    var whole = 0.0;
    var fraction = 0.0;
    for (var t = 0u; t < steps; t++) {
      let step = tile[lane * CHUNK + t];
      let floored = floor(step.y);
      whole += floored;
      fraction += step.y - floored;
      if (fraction >= 1.0) {
        whole += 1.0;
        fraction -= 1.0;
      }
      tile[lane * CHUNK + t] = vec4<f32>(step.x, whole, fraction, exp(whole + fraction));
    }
  }
  workgroupBarrier();
  for (var i = lane; i < steps * heads; i += LANES) {
    let t = i % steps;
    let h = i / steps;
    decays[(b * NHEADS + h0 + h) * params.seqlen + t0 + t] = tile[h * CHUNK + t];
  }
}
