// rms_norm_bwd: backward of rms_norm_fwd, which kept nothing: rstd is computed again from x.
//   With rstd = rsqrt(mean(x^2) + EPS), for each row:
//   grad_x = rstd (grad_y weight - x rstd^2 mean(grad_y weight x))       ACCUMULATE: grad_x += instead of =
//   partials[part] = sum over the part's rows of grad_y x rstd, which sum_partials adds up to grad_weight
// One workgroup per part of rows_per_part rows, TILE rows at a time: first 16 lanes a row for the two sums, then a lane
// per column goes down the tile's rows with its share of grad_weight in a register. So x and grad_y are read twice,
// the second time from the cache, and every sum has a fixed order.
override D_MODEL: u32;
override EPS: f32;
override ACCUMULATE: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  rows_per_part: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;             // (rows, D_MODEL), row r at x_offset + r * ld_x
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // (D_MODEL)
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;        // (rows, D_MODEL)
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;  // (rows, D_MODEL)
@group(0) @binding(4) var<storage, read_write> partials: array<f32>; // (parts, D_MODEL)
@group(0) @binding(5) var<uniform> params: Params;

const LANES = 128u;
const LANES_PER_ROW = 16u;
const ROWS_AT_ONCE = LANES / LANES_PER_ROW;
const TILE = 16u;

// Of each lane: sum of x^2, sum of grad_y weight x.
var<workgroup> sums: array<vec2<f32>, LANES>;
// Of each row of the tile: rstd, rstd^2 mean(grad_y weight x).
var<workgroup> factors: array<vec2<f32>, TILE>;

fn x_start(row: u32) -> u32 {
  return params.x_offset + row * params.ld_x;
}

@compute @workgroup_size(LANES)
fn rms_norm_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let part = wid.x;
  let first = part * params.rows_per_part;
  let end = min(params.rows, first + params.rows_per_part);
  let place = lane % LANES_PER_ROW;
  for (var tile = first; tile < end; tile += TILE) {
    for (var i0 = 0u; i0 < TILE; i0 += ROWS_AT_ONCE) {
      let i = i0 + lane / LANES_PER_ROW;
      let row = tile + i;
      var sum = vec2<f32>(0.0);
      if (row < end) {
        for (var d = place; d < D_MODEL; d += LANES_PER_ROW) {
          let value = x[x_start(row) + d];
          sum += vec2<f32>(value, grad_y[row * D_MODEL + d] * weight[d]) * value;
        }
      }
      sums[lane] = sum;
      for (var half = LANES_PER_ROW / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (place < half) {
          sums[lane] += sums[lane + half];
        }
      }
      if (place == 0u) {
        let means = sums[lane] / f32(D_MODEL);
        let rstd = inverseSqrt(means.x + EPS);
        factors[i] = vec2<f32>(rstd, rstd * rstd * means.y);
      }
      workgroupBarrier();
    }
    for (var d = lane; d < D_MODEL; d += LANES) {
      var grad_weight = 0.0;
      for (var i = 0u; i < min(TILE, end - tile); i++) {
        let row = tile + i;
        let value = x[x_start(row) + d];
        let grad = grad_y[row * D_MODEL + d];
        let rstd = factors[i].x;
        var result = rstd * (grad * weight[d] - value * factors[i].y);
        if (ACCUMULATE) {
          result += grad_x[row * D_MODEL + d];
        }
        grad_x[row * D_MODEL + d] = result;
        grad_weight += grad * value * rstd;
      }
      if (tile > first) {
        grad_weight += partials[part * D_MODEL + d];
      }
      partials[part * D_MODEL + d] = grad_weight;
    }
    workgroupBarrier();
  }
}
