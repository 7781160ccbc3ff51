// dropout: y[i] = x[i] / (1 - p) where random bits i reach p 2^32, else 0. ACCUMULATE: y += instead of =.
//   The bits are the first word of threefry(seed, (i, draw)), so the same call on a gradient has the same mask, and
//   nothing is stored for it. The draw is a tensor: it changes from step to step under a recorded program.
// One lane per element.
override ACCUMULATE: bool;

struct Params {
  size: u32,
  seed_low: u32,
  seed_high: u32,
  threshold: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // (size)
@group(0) @binding(1) var<storage, read> draw: array<u32>;     // (1)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (size)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn dropout(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i >= params.size) {
    return;
  }
  let random = threefry(vec2<u32>(params.seed_low, params.seed_high), vec2<u32>(i, draw[0])).x;
  var value = select(0.0, x[i] * params.scale, random >= params.threshold);
  if (ACCUMULATE) {
    value += y[i];
  }
  y[i] = value;
}
