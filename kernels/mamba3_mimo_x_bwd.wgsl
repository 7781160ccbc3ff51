// mamba3_mimo_x_bwd: the gradient that mimo_x has by what mamba3_carry adds to the state:
//   grad_mimo_x[r, p] = sum over b of delta[0] v[p] sum over n of grad_state[p, n] k[r, n]
// with k and v of the step before the first. A lane per channel and rank.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;

struct Params {
  seqlen: u32,
  batch: u32,
}

@group(0) @binding(0) var<storage, read> rates: array<vec4<f32>>;       // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(1) var<storage, read> grad_state: array<f32>;        // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(2) var<storage, read> k: array<f32>;                 // (batch, RANK, NHEADS, D_STATE)
@group(0) @binding(3) var<storage, read> v: array<f32>;                 // (batch, NHEADS, HEADDIM)
@group(0) @binding(4) var<storage, read_write> grad_mimo_x: array<f32>; // (NHEADS, RANK, HEADDIM)
@group(0) @binding(5) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_mimo_x_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i >= NHEADS * RANK * HEADDIM) {
    return;
  }
  let h = i / HEADDIM / RANK;
  let r = i / HEADDIM % RANK;
  var sum = 0.0;
  for (var b = 0u; b < params.batch; b++) {
    let head = b * NHEADS + h;
    let channel = head * HEADDIM + i % HEADDIM;
    let keys = ((b * RANK + r) * NHEADS + h) * D_STATE;
    var product = 0.0;
    for (var n = 0u; n < D_STATE; n++) {
      product += grad_state[channel * D_STATE + n] * k[keys + n];
    }
    sum += rates[head * params.seqlen].w * v[channel] * product;
  }
  grad_mimo_x[i] = sum;
}
