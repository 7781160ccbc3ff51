// mean_pool_bwd: the gradient of one vector a sequence, spread over the sequence's steps.
//   MEAN:  grad_x[b, t] = scale grad_y[b]: y was the mean, after the last step, of 1 / scale steps.
//   else:  grad_x[b, t] = grad_y[b] at the last step and 0 before it: y was the last step itself.
// One lane per element of grad_x, all of which are written.
override D_MODEL: u32;
override MEAN: bool;

struct Params {
  batch: u32,
  seqlen: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> grad_y: array<f32>;        // (batch, D_MODEL)
@group(0) @binding(1) var<storage, read_write> grad_x: array<f32>;  // (batch, seqlen, D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn mean_pool_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                 @builtin(local_invocation_index) lane: u32) {
  let element = (wid.x + wid.y * grid.x) * LANES + lane;
  if (element >= params.batch * params.seqlen * D_MODEL) {
    return;
  }
  let row = element / D_MODEL;
  let b = row / params.seqlen;
  let grad = grad_y[b * D_MODEL + element % D_MODEL];
  if (MEAN) {
    grad_x[element] = params.scale * grad;
  } else {
    grad_x[element] = select(0.0, grad, row % params.seqlen == params.seqlen - 1u);
  }
}
