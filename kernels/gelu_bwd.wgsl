// gelu_bwd: grad becomes that of gelu_fwd's x: grad *= s + x s (1 - s) g', with s = sigmoid(g),
//   g = 2 sqrt(2 / pi) (x + 0.044715 x^3)      g' = 2 sqrt(2 / pi) (1 + 3 0.044715 x^2)
// One lane per element.
struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;          // (size)
@group(0) @binding(1) var<storage, read_write> grad: array<f32>; // (size)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn gelu_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i < params.size) {
    let v = x[i];
    let s = sigmoid(1.5957691 * v * (1.0 + 0.044715 * v * v));
    grad[i] *= s + v * s * (1.0 - s) * 1.5957691 * (1.0 + 0.134145 * v * v);
  }
}
