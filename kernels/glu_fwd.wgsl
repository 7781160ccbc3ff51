// glu_fwd: y[row, d] = x[row, d] sigmoid(x[row, D_MODEL + d]), added to what is there where ACCUMULATE.
// One lane per element of y.
override D_MODEL: u32;
override ACCUMULATE: bool;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // (rows, 2 D_MODEL)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (rows, D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn glu_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i >= params.rows * D_MODEL) {
    return;
  }
  let at = i / D_MODEL * 2u * D_MODEL + i % D_MODEL;
  y[i] = x[at] * sigmoid(x[at + D_MODEL]) + select(0.0, y[i], ACCUMULATE);
}
