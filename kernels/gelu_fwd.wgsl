// gelu_fwd: y = x / (1 + exp(-2 g)) with g = sqrt(2 / pi) (x + 0.044715 x^3): GELU by its form with tanh.
// One lane per element.
struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // (size)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (size)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn gelu_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i < params.size) {
    let v = x[i];
    y[i] = v * sigmoid(1.5957691 * v * (1.0 + 0.044715 * v * v));
  }
}
