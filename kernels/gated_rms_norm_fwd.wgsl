// gated_rms_norm_fwd: the norm of Mamba-2, over groups of GROUP_SIZE columns, and its gate in either order.
//   gate first:        v = y silu(z)      out = v rsqrt(mean(v^2) + EPS) weight
//   NORM_BEFORE_GATE:  v = y              out = v rsqrt(mean(v^2) + EPS) weight silu(z)
//   not NORM:          out = y silu(z)
// One workgroup per row and group: lanes stride over the group, then a tree sum in workgroup memory.
override D_INNER: u32;
override GROUP_SIZE: u32; // divides D_INNER
override EPS: f32;
override NORM: bool;
override NORM_BEFORE_GATE: bool;

struct Params {
  rows: u32,
  ld_z: u32,
  z_offset: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;         // (rows, D_INNER)
@group(0) @binding(1) var<storage, read> z: array<f32>;         // (rows, D_INNER), row r at z_offset + r * ld_z
@group(0) @binding(2) var<storage, read> weight: array<f32>;    // (D_INNER)
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // (rows, D_INNER)
@group(0) @binding(4) var<uniform> params: Params;

const LANES = 128u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn gated_rms_norm_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                      @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let first = wid.z * GROUP_SIZE;
  let start = row * D_INNER + first;
  let z_start = params.z_offset + row * params.ld_z + first;
  var rstd = 1.0;
  if (NORM) {
    var sum = 0.0;
    for (var d = lane; d < GROUP_SIZE; d += LANES) {
      var v = y[start + d];
      if (!NORM_BEFORE_GATE) {
        v *= silu(z[z_start + d]);
      }
      sum += v * v;
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) {
        sums[lane] += sums[lane + half];
      }
      workgroupBarrier();
    }
    rstd = inverseSqrt(sums[0] / f32(GROUP_SIZE) + EPS);
  }
  for (var d = lane; d < GROUP_SIZE; d += LANES) {
    var result = y[start + d] * silu(z[z_start + d]);
    if (NORM) {
      result *= rstd * weight[first + d];
    }
    out[start + d] = result;
  }
}
