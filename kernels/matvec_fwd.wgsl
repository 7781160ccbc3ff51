// matvec_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for few rows b: what one step spends its time on.
//   With norm, residual, conv1d and the order of sums as _matvec says.
// A workgroup is LANES x GROUPS lanes. A group computes ROWS_PER_GROUP rows of weight: each lane takes a part of the
// columns, loads its x once and uses it for all rows; then some lanes add up the parts. The grid is (row blocks, b).
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override LANES: u32;       // a power of two, at least GROUP_PARTS
override GROUPS: u32;
override ALIGNED: bool;    // rows of x start at multiples of 4 floats and D_IN is a multiple of 8
override NORM: bool;
override EPS: f32;
override BIAS: bool;
override RESIDUAL: bool;
override CONV: bool;
override CONV_BIAS: bool;
override D_CONV: u32;
override CONV_START: u32;
override D_INNER: u32;

struct Params {
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (batch, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(4) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(5) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(6) var<storage, read_write> conv_state: array<f32>;  // (batch, D_INNER, D_CONV), newest last
@group(0) @binding(7) var<storage, read_write> y: array<f32>;           // (batch, all rows) at stride ld_y
@group(0) @binding(8) var<uniform> params: Params;

const ROWS_PER_GROUP = 4u; // one vec4 of sums
var<workgroup> parts: array<vec4<f32>, LANES * GROUPS>;
var<workgroup> scales: array<vec4<f32>, LANES * GROUPS>; // of quantized weights: a part's columns share theirs
var<workgroup> squares: array<f32, LANES * GROUPS>;

fn is_quantized() -> bool {
  return W_DTYPE == DTYPE_INT8 || W_DTYPE == DTYPE_INT4;
}

// Columns i to i + 3 of a row that need not start at a multiple of four, zero past D_IN.
fn x_at(start: u32, i: u32) -> vec4<f32> {
  if (ALIGNED) {
    return x[(start + i) / 4u];
  }
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < 4u; j++) {
    if (i + j < D_IN) {
      values[j] = x[(start + i + j) / 4u][(start + i + j) % 4u];
    }
  }
  return values;
}

// norm_weight is one tensor, which starts aligned; beyond D_IN it may hold anything, and x is zero there.
fn norm_weight_at(i: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), norm_weight[i / 4u], vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN));
}

// Eight columns of a row of weight, without scales.
struct Eight {
  low: vec4<f32>,
  high: vec4<f32>,
}

// The lanes of a group read neighboring parts, so that narrow loads of quantized weights are whole lines together.
fn weights_at(row: u32, column: u32) -> Eight {
  let element = row * W_STRIDE + column;
  if (W_DTYPE == DTYPE_F32) {
    return Eight(bitcast<vec4<f32>>(weight[element / 4u]), bitcast<vec4<f32>>(weight[element / 4u + 1u]));
  }
  if (W_DTYPE == DTYPE_INT8) {
    let words = weight[element / 16u];
    let half = select(words.xy, words.zw, element % 16u == 8u);
    return Eight(unpack_int8(half.x), unpack_int8(half.y));
  }
  if (W_DTYPE == DTYPE_INT4) {
    let word = weight[element / 32u][element / 8u % 4u];
    return Eight(unpack_int4(word), unpack_int4(word >> 4u));
  }
  let words = weight[element / 8u];
  if (W_DTYPE == DTYPE_F16) {
    return Eight(unpack_f16(words.xy), unpack_f16(words.zw));
  }
  return Eight(unpack_bf16(words.xy), unpack_bf16(words.zw));
}

fn plus_dot(sum: f32, v: vec4<f32>, w: vec4<f32>) -> f32 {
  return fma(v.w, w.w, fma(v.z, w.z, fma(v.y, w.y, fma(v.x, w.x, sum))));
}

fn plus_eight(sum: f32, low: vec4<f32>, high: vec4<f32>, w: Eight) -> f32 {
  return plus_dot(plus_dot(sum, low, w.low), high, w.high);
}

// The sums of four rows of weight over some columns, and the sum of x's squares.
struct PartSums {
  rows: vec4<f32>,
  square: f32,
}

fn plus_columns(sums: PartSums, start: u32, column: u32, rows: vec4<u32>) -> PartSums {
  var low = x_at(start, column);
  var high = x_at(start, column + 4u);
  var square = sums.square;
  if (NORM) {
    square = plus_squares(plus_squares(square, low), high);
    low *= norm_weight_at(column);
    high *= norm_weight_at(column + 4u);
  }
  let more = vec4<f32>(plus_eight(sums.rows.x, low, high, weights_at(rows.x, column)),
                       plus_eight(sums.rows.y, low, high, weights_at(rows.y, column)),
                       plus_eight(sums.rows.z, low, high, weights_at(rows.z, column)),
                       plus_eight(sums.rows.w, low, high, weights_at(rows.w, column)));
  return PartSums(more, square);
}

// The sums of a part into workgroup memory; zeros past the last part.
fn sum_part(part: u32, b: u32, rows: vec4<u32>, index: u32) {
  let start = params.x_offset + b * params.ld_x;
  let column = part * PART;
  var sums: PartSums;
  if (column < D_IN) {
    sums = plus_columns(sums, start, column, rows);
    // Known beforehand for most weights, whose loads then overlap.
    if (D_IN % PART == 0u || column + 8u < D_IN) {
      sums = plus_columns(sums, start, column + 8u, rows);
    }
  }
  parts[index] = sums.rows;
  squares[index] = sums.square;
  if (is_quantized()) {
    let first = min(column, D_IN - 1u);
    scales[index] = vec4<f32>(scale_at(rows.x, first), scale_at(rows.y, first), scale_at(rows.z, first),
                              scale_at(rows.w, first));
  }
}

@compute @workgroup_size(LANES, GROUPS)
fn matvec_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
              @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let row = (wid.x * GROUPS + lid.y) * ROWS_PER_GROUP;
  let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(ROWS - 1u));
  let group = lid.y * LANES;
  var sum = vec4<f32>(0.0);
  var square = 0.0;
  for (var first = 0u; first < (D_IN + PART - 1u) / PART; first += LANES) {
    workgroupBarrier();
    sum_part(first + lid.x, b, rows, index);
    workgroupBarrier();
    // A lane for each group of parts, which it leaves where its first one was.
    if (lid.x < LANES / GROUP_PARTS) {
      var group_sum = vec4<f32>(0.0);
      var group_square = 0.0;
      for (var p = 0u; p < GROUP_PARTS; p++) {
        let i = group + lid.x * GROUP_PARTS + p;
        group_sum = fma(select(vec4<f32>(1.0), scales[i], is_quantized()), parts[i], group_sum);
        group_square += squares[i];
      }
      parts[group + lid.x * GROUP_PARTS] = group_sum;
      squares[group + lid.x * GROUP_PARTS] = group_square;
    }
    workgroupBarrier();
    if (lid.x < ROWS_PER_GROUP) {
      for (var i = group; i < group + LANES; i += GROUP_PARTS) {
        sum += parts[i];
        square += squares[i];
      }
    }
  }
  if (lid.x < ROWS_PER_GROUP && row + lid.x < ROWS) {
    finish(b, ROW_START + row + lid.x, sum[lid.x], norm_factor(square));
  }
}
