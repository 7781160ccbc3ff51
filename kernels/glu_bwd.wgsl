// glu_bwd: the gradient of glu_fwd's x takes the place of x, with s = sigmoid(x[row, D_MODEL + d]).
//   x[row, d] = grad_y s      x[row, D_MODEL + d] = grad_y x[row, d] s (1 - s)
// One lane per element of grad_y.
override D_MODEL: u32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> grad_y: array<f32>;  // (rows, D_MODEL)
@group(0) @binding(1) var<storage, read_write> x: array<f32>; // (rows, 2 D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn glu_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i >= params.rows * D_MODEL) {
    return;
  }
  let at = i / D_MODEL * 2u * D_MODEL + i % D_MODEL;
  let s = sigmoid(x[at + D_MODEL]);
  let value = x[at];
  x[at] = grad_y[i] * s;
  x[at + D_MODEL] = grad_y[i] * value * s * (1.0 - s);
}
