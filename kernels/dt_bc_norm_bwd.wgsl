// dt_bc_norm_bwd: backward of dt_bc_norm_fwd, in place, for each of dt_low, B and C:
//   grad_v = rstd (grad_v - v mean(grad_v v))      with v what the forward left
// One workgroup per row and part: lanes stride over the part, then a tree sum in workgroup memory.
override DT_RANK: u32;
override D_STATE: u32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> x_dbl: array<f32>;            // (rows, DT_RANK + 2 D_STATE): dt_low, B, C
@group(0) @binding(1) var<storage, read> rstd: array<f32>;             // (rows, 3)
@group(0) @binding(2) var<storage, read_write> grad_x_dbl: array<f32>; // (rows, DT_RANK + 2 D_STATE)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn dt_bc_norm_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
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
    sum += grad_x_dbl[start + i] * x_dbl[start + i];
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  let mean = sums[0] / f32(size);
  for (var i = lane; i < size; i += LANES) {
    grad_x_dbl[start + i] = rstd[row * 3u + part] * (grad_x_dbl[start + i] - x_dbl[start + i] * mean);
  }
}
