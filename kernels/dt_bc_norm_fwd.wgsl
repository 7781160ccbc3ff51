// dt_bc_norm_fwd: FalconMamba's norms of x_proj's output, in place: of dt_low, of B and of C, each without a weight.
//   v *= rstd      rstd = rsqrt(mean(v^2) + EPS), kept for the backward
// One workgroup per row and part: lanes stride over the part, then a tree sum in workgroup memory.
override DT_RANK: u32;
override D_STATE: u32;
override EPS: f32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read_write> x_dbl: array<f32>; // (rows, DT_RANK + 2 D_STATE): dt_low, B, C
@group(0) @binding(1) var<storage, read_write> rstd: array<f32>;  // (rows, 3)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn dt_bc_norm_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                  @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let part = wid.z;
  let size = select(D_STATE, DT_RANK, part == 0u);
  let start = row * (DT_RANK + 2u * D_STATE) + select(DT_RANK + (part - 1u) * D_STATE, 0u, part == 0u);
  var sum = 0.0;
  for (var i = lane; i < size; i += LANES) {
    sum = fma(x_dbl[start + i], x_dbl[start + i], sum);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  let factor = inverseSqrt(sums[0] / f32(size) + EPS);
  for (var i = lane; i < size; i += LANES) {
    x_dbl[start + i] *= factor;
  }
  if (lane == 0u) {
    rstd[row * 3u + part] = factor;
  }
}
