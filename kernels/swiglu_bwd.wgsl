// swiglu_bwd: the gradients of x and gate, the two halves of each row, from that of y = x silu(gate).
// A lane per element of y.
override WIDTH: u32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // (rows, 2 WIDTH)
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;       // (rows, WIDTH)
@group(0) @binding(2) var<storage, read_write> grad_x: array<f32>; // (rows, 2 WIDTH)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn swiglu_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * count.x + wid.x) * LANES + lane;
  if (i >= params.rows * WIDTH) {
    return;
  }
  let at = i / WIDTH * 2u * WIDTH + i % WIDTH;
  let gate = x[at + WIDTH];
  let s = 1.0 / (1.0 + exp(-gate));
  grad_x[at] = grad_y[i] * gate * s;
  grad_x[at + WIDTH] = grad_y[i] * x[at] * s * (1.0 + gate * (1.0 - s));
}
