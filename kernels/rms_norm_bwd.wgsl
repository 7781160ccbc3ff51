// rms_norm_bwd: backward of rms_norm_fwd, which kept nothing: rstd is computed again from x.
//   With rstd = rsqrt(mean(x^2) + EPS), for each row:
//   grad_x = rstd (grad_y weight - x rstd^2 mean(grad_y weight x))       ACCUMULATE: grad_x += instead of =
//   partials[part] = sum over the part's rows of grad_y x rstd, which sum_partials adds up to grad_weight
// One workgroup per part of rows_per_part rows, TILE rows at a time: first 16 lanes a row for the two sums, then a lane
// per column goes down the tile's rows with its share of grad_weight in a register. So x and grad_y are read twice,
// the second time from the cache, and every sum has a fixed order. Either loop takes four columns or rows at a time,
// written out, for it would wait for the loads of each.
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

// What a lane has of a column of one row.
struct Element {
  value: f32,
  grad: f32,
}

// Zeros past the last column, and any of the tile's rows past its last one.
fn element_at(row: u32, end: u32, d: u32) -> Element {
  let own = min(row, end - 1u);
  let column = min(d, D_MODEL - 1u);
  let element = Element(x[x_start(own) + column], grad_y[own * D_MODEL + column]);
  if (d < D_MODEL) {
    return element;
  }
  return Element(0.0, 0.0);
}

fn add_element(sum: vec2<f32>, element: Element, d: u32) -> vec2<f32> {
  let own_weight = weight[min(d, D_MODEL - 1u)];
  return sum + vec2<f32>(element.value, element.grad * own_weight) * element.value;
}

// grad_x without what is added to it.
fn result_of(element: Element, i: u32, own_weight: f32) -> f32 {
  return factors[i].x * (element.grad * own_weight - element.value * factors[i].y);
}

// Writes an element of grad_x, and gives its part of grad_weight.
fn finish(element: Element, tile: u32, i: u32, end: u32, d: u32, own_weight: f32, before: f32) -> f32 {
  if (tile + i >= end) {
    return 0.0;
  }
  grad_x[(tile + i) * D_MODEL + d] = result_of(element, i, own_weight) + before;
  return element.grad * element.value * factors[i].x;
}

fn before_at(row: u32, end: u32, d: u32) -> f32 {
  if (ACCUMULATE) {
    return grad_x[min(row, end - 1u) * D_MODEL + d];
  }
  return 0.0;
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
        for (var d = place; d < D_MODEL; d += 4u * LANES_PER_ROW) {
          let d_1 = d + LANES_PER_ROW;
          let d_2 = d + 2u * LANES_PER_ROW;
          let d_3 = d + 3u * LANES_PER_ROW;
          let e_0 = element_at(row, end, d);
          let e_1 = element_at(row, end, d_1);
          let e_2 = element_at(row, end, d_2);
          let e_3 = element_at(row, end, d_3);
          sum = add_element(add_element(sum, e_0, d), e_1, d_1);
          sum = add_element(add_element(sum, e_2, d_2), e_3, d_3);
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
      let own_weight = weight[d];
      for (var i = 0u; i < min(TILE, end - tile); i += 4u) {
        let row = tile + i;
        let e_0 = element_at(row, end, d);
        let e_1 = element_at(row + 1u, end, d);
        let e_2 = element_at(row + 2u, end, d);
        let e_3 = element_at(row + 3u, end, d);
        let before = vec4<f32>(before_at(row, end, d), before_at(row + 1u, end, d), before_at(row + 2u, end, d),
                               before_at(row + 3u, end, d));
        grad_weight += finish(e_0, tile, i, end, d, own_weight, before.x);
        grad_weight += finish(e_1, tile, i + 1u, end, d, own_weight, before.y);
        grad_weight += finish(e_2, tile, i + 2u, end, d, own_weight, before.z);
        grad_weight += finish(e_3, tile, i + 3u, end, d, own_weight, before.w);
      }
      if (tile > first) {
        grad_weight += partials[part * D_MODEL + d];
      }
      partials[part * D_MODEL + d] = grad_weight;
    }
    workgroupBarrier();
  }
}
