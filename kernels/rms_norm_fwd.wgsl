// rms_norm_fwd: y[row] = x[row] * rsqrt(mean(x[row]^2) + EPS) * weight (Zhang & Sennrich 2019).
//   Row r of x starts at x_offset + r * ld_x, so that "the last step of each sequence" needs no copy.
// One workgroup per row: lanes stride over the row, then a tree sum in workgroup memory.
override D_MODEL: u32;
override EPS: f32;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // (rows, D_MODEL) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<f32>;   // (D_MODEL)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (rows, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 128u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn rms_norm_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let start = params.x_offset + row * params.ld_x;
  var sum = 0.0;
  for (var d = lane; d < D_MODEL; d += LANES) {
    let value = x[start + d];
    sum += value * value;
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  let rstd = inverseSqrt(sums[0] / f32(D_MODEL) + EPS);
  for (var d = lane; d < D_MODEL; d += LANES) {
    y[row * D_MODEL + d] = x[start + d] * rstd * weight[d];
  }
}
