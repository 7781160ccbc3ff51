// mamba3_angles_bwd: the gradients of all steps' angles become those of the turns: a turn is in the angles of its step
// and of all that follow. A lane per head and angle goes from the last step to the first.
override NHEADS: u32;
override ANGLES: u32;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read_write> grad_thetas: array<f32>; // (batch, seqlen, NHEADS, ANGLES)
@group(0) @binding(1) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_angles_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i >= NHEADS * ANGLES) {
    return;
  }
  var sum = 0.0;
  for (var after = params.seqlen; after > 0u; after--) {
    let at = (wid.y * params.seqlen + after - 1u) * NHEADS * ANGLES + i;
    sum += grad_thetas[at];
    grad_thetas[at] = sum;
  }
}
