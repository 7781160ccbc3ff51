// state_copy: one state of each sequence, from one place to another.
//   y[b y_stride + y_start + i] = x[b x_stride + x_start + i]        0 <= b < batch, 0 <= i < size
// The scan keeps several states of a sequence side by side: one is taken out of them, or put in, at a stride.
// One lane per element.
struct Params {
  batch: u32,
  size: u32,
  x_start: u32,
  x_stride: u32,
  y_start: u32,
  y_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // (batch, x_stride)
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // (batch, y_stride)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn state_copy(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let element = (wid.x + wid.y * grid.x) * LANES + lane;
  if (element >= params.batch * params.size) {
    return;
  }
  let b = element / params.size;
  let i = element % params.size;
  y[b * params.y_stride + params.y_start + i] = x[b * params.x_stride + params.x_start + i];
}
