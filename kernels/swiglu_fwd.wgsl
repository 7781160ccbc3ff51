// swiglu_fwd: y = x silu(gate), with x and gate the two halves of each row.
// A lane per element of y.
override WIDTH: u32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // (rows, 2 WIDTH)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (rows, WIDTH)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn swiglu_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * count.x + wid.x) * LANES + lane;
  if (i >= params.rows * WIDTH) {
    return;
  }
  let at = i / WIDTH * 2u * WIDTH + i % WIDTH;
  y[i] = x[at] * silu(x[at + WIDTH]);
}
