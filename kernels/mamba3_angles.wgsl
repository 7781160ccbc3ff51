// mamba3_angles: the angles that Mamba-3 turns B and C by, of every step: theta[h, j] += pi tanh(angles[j]) dt[h].
// They are kept in [-pi, pi], so that a long stream loses nothing. A lane per head and angle goes from step to step.
override NHEADS: u32;
override ANGLES: u32;
override D_IN_PROJ: u32; // its last ANGLES columns are the angles

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;        // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> rates: array<vec4<f32>>;   // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(2) var<storage, read_write> theta: array<f32>;   // (batch, NHEADS, ANGLES)
@group(0) @binding(3) var<storage, read_write> thetas: array<f32>;  // (batch, seqlen, NHEADS, ANGLES)
@group(0) @binding(4) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_angles(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i >= NHEADS * ANGLES) {
    return;
  }
  let b = wid.y;
  let h = i / ANGLES;
  let j = i % ANGLES;
  var angle = theta[b * NHEADS * ANGLES + i];
  for (var t = 0u; t < params.seqlen; t++) {
    let row = b * params.seqlen + t;
    let dt = rates[(b * NHEADS + h) * params.seqlen + t].x;
    let turn = tanh_of(zxBCdt[(row + 1u) * D_IN_PROJ - ANGLES + j]);
    angle = reduced(angle + 3.14159265 * turn * dt);
    thetas[row * NHEADS * ANGLES + i] = angle;
  }
  theta[b * NHEADS * ANGLES + i] = angle;
}
