// matvec_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for few rows b: what one step spends its time on.
//   NORM      x is RMSNorm(x; norm_weight) first. The factor rsqrt(mean x^2 + EPS) is common to the whole dot product,
//             so the squares are summed beside it and the factor is applied once, at the end.
//   RESIDUAL  y[b, o] += instead of =.
//   CONV      rows CONV_START + d, d < D_INNER, are the input of the causal conv1d, whose window is conv_state[b, d]:
//             the window moves by one, and y becomes SiLU(conv). Other rows (z, dt) are written as they are.
// A workgroup is LANES x GROUPS lanes. A group computes ROWS_PER_GROUP rows: each lane takes 8 columns at a time, loads
// their x once and uses it for all rows, then the partial sums meet in a tree. The grid is (row blocks, b).
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override LANES: u32;       // a power of two
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
var<workgroup> sums: array<vec4<f32>, LANES * GROUPS>;
var<workgroup> squares: array<f32, LANES * GROUPS>;

// Columns i to i + 3 of a row that need not start at a multiple of four, zero past D_IN.
fn x_at(start: u32, i: u32) -> vec4<f32> {
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

// The lanes of a group read neighboring chunks, so that narrow loads of quantized weights are whole lines together.
fn dot8(row: u32, chunk: u32, low: vec4<f32>, high: vec4<f32>) -> f32 {
  let element = row * W_STRIDE + chunk * 8u;
  if (W_DTYPE == DTYPE_F32) {
    let words = vec2<u32>(element / 4u, element / 4u + 1u);
    return dot(low, bitcast<vec4<f32>>(weight[words.x])) + dot(high, bitcast<vec4<f32>>(weight[words.y]));
  }
  if (W_DTYPE == DTYPE_INT8) {
    let words = weight[element / 16u];
    let half = select(words.xy, words.zw, element % 16u == 8u);
    return scale_at(row, chunk * 8u) * (dot(low, unpack_int8(half.x)) + dot(high, unpack_int8(half.y)));
  }
  if (W_DTYPE == DTYPE_INT4) {
    let word = weight[element / 32u][element / 8u % 4u];
    return scale_at(row, chunk * 8u) * (dot(low, unpack_int4(word)) + dot(high, unpack_int4(word >> 4u)));
  }
  let words = weight[element / 8u];
  if (W_DTYPE == DTYPE_F16) {
    return dot(low, unpack_f16(words.xy)) + dot(high, unpack_f16(words.zw));
  }
  return dot(low, unpack_bf16(words.xy)) + dot(high, unpack_bf16(words.zw));
}

fn conv1d_step(b: u32, d: u32, newest: f32) -> f32 {
  let window = (b * D_INNER + d) * D_CONV;
  var sum = newest * conv_weight[d * D_CONV + D_CONV - 1u];
  for (var k = 0u; k + 1u < D_CONV; k++) {
    let value = conv_state[window + k + 1u];
    conv_state[window + k] = value;
    sum += value * conv_weight[d * D_CONV + k];
  }
  conv_state[window + D_CONV - 1u] = newest;
  if (CONV_BIAS) {
    sum += conv_bias[d];
  }
  return silu(sum);
}

@compute @workgroup_size(LANES, GROUPS)
fn matvec_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
              @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let row = (wid.x * GROUPS + lid.y) * ROWS_PER_GROUP;
  let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(ROWS - 1u));
  let start = params.x_offset + b * params.ld_x;
  var sum = vec4<f32>(0.0);
  var square = 0.0;
  for (var chunk = lid.x; chunk < (D_IN + 7u) / 8u; chunk += LANES) {
    var low: vec4<f32>;
    var high: vec4<f32>;
    if (ALIGNED) {
      low = x[start / 4u + chunk * 2u];
      high = x[start / 4u + chunk * 2u + 1u];
    } else {
      low = x_at(start, chunk * 8u);
      high = x_at(start, chunk * 8u + 4u);
    }
    if (NORM) {
      square += dot(low, low) + dot(high, high);
      low *= norm_weight_at(chunk * 8u);
      high *= norm_weight_at(chunk * 8u + 4u);
    }
    sum += vec4<f32>(dot8(rows.x, chunk, low, high), dot8(rows.y, chunk, low, high),
                     dot8(rows.z, chunk, low, high), dot8(rows.w, chunk, low, high));
  }
  sums[index] = sum;
  squares[index] = square;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lid.x < half) {
      sums[index] += sums[index + half];
      squares[index] += squares[index + half];
    }
    workgroupBarrier();
  }
  if (lid.x >= ROWS_PER_GROUP || row + lid.x >= ROWS) {
    return;
  }
  let group = lid.y * LANES;
  let o = ROW_START + row + lid.x;
  var value = sums[group][lid.x];
  if (NORM) {
    value *= inverseSqrt(squares[group] / f32(D_IN) + EPS);
  }
  if (BIAS) {
    value += bias[o];
  }
  if (CONV && o >= CONV_START && o - CONV_START < D_INNER) {
    value = conv1d_step(b, o - CONV_START, value);
  }
  if (RESIDUAL) {
    value += y[b * params.ld_y + o];
  }
  y[b * params.ld_y + o] = value;
}
