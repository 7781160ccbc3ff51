// rms_norm_fwd: y[row] = x[row] * rsqrt(mean(x[row]^2) + EPS) * weight (Zhang & Sennrich 2019).
//   Row r of x starts at x_offset + r * ld_x, so that "the last step of each sequence" needs no copy.
// A workgroup of 128 lanes has 128 / ROW_LANES rows: ROW_LANES lanes stride over each, then a tree sum in workgroup
// memory. Lanes of rows past the end sum up the last one's elements, and write nothing. Four elements are read at a
// time, written out: a loop over single ones would wait for each.
override D_MODEL: u32;
override EPS: f32;
override ROW_LANES: u32; // a power of two, up to 128

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

// Elements d, d + ROW_LANES, ... of a row, zero past its end.
fn four_of_x(start: u32, d: u32) -> vec4<f32> {
  let columns = d + ROW_LANES * vec4<u32>(0u, 1u, 2u, 3u);
  let i = start + min(columns, vec4<u32>(D_MODEL - 1u));
  return select(vec4<f32>(0.0), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), columns < vec4<u32>(D_MODEL));
}

fn write1(row: u32, d: u32, value: f32) {
  if (d < D_MODEL) {
    y[row * D_MODEL + d] = value * weight[d];
  }
}

@compute @workgroup_size(LANES)
fn rms_norm_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
  let row = (wid.x + wid.y * grid.x) * (LANES / ROW_LANES) + lane / ROW_LANES;
  let place = lane % ROW_LANES;
  let start = params.x_offset + min(row, params.rows - 1u) * params.ld_x;
  var sum = 0.0;
  for (var d = place; d < D_MODEL; d += 4u * ROW_LANES) {
    let four = four_of_x(start, d);
    sum = fma(four.w, four.w, fma(four.z, four.z, fma(four.y, four.y, fma(four.x, four.x, sum))));
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    if (place < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  if (row >= params.rows) {
    return;
  }
  let rstd = inverseSqrt(sums[lane - place] / f32(D_MODEL) + EPS);
  for (var d = place; d < D_MODEL; d += 4u * ROW_LANES) {
    let four = four_of_x(start, d) * rstd;
    write1(row, d, four.x);
    write1(row, d + ROW_LANES, four.y);
    write1(row, d + 2u * ROW_LANES, four.z);
    write1(row, d + 3u * ROW_LANES, four.w);
  }
}
