// sum_of_squares: partials[part] = sum of x[i]^2 over the part's elements; clip_factor adds up the partials.
// One workgroup per part of PART elements: lanes stride over it, then a tree sum, so that the order is fixed.
override PART: u32;

struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;               // (size)
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;  // (parts)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn sum_of_squares(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                  @builtin(local_invocation_index) lane: u32) {
  let part = wid.x + wid.y * grid.x;
  if (part * PART >= params.size) {
    return;
  }
  let end = min(params.size, (part + 1u) * PART);
  var sum = 0.0;
  for (var i = part * PART + lane; i < end; i += LANES) {
    sum += x[i] * x[i];
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
  }
  if (lane == 0u) {
    partials[part] = sums[0];
  }
}
