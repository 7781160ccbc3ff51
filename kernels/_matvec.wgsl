// _matvec: the arithmetic of a matvec, in which nothing depends on how many rows of x there are, or on which one it is.
//   y[b, o] = sum_k weight[o, k] x[b, k] + bias[o]
//   NORM      x is RMSNorm(x; norm_weight) first. The factor rsqrt(mean x^2 + EPS) is common to the whole dot product,
//             so the squares are summed beside it and the factor is applied once, at the end.
//   RESIDUAL  y[b, o] += instead of =.
//   CONV      rows CONV_START + d, d < D_INNER, are the input of the causal conv1d, whose window is conv_state[b, d]:
//             the window moves by one, and y becomes SiLU(conv). Other rows (z, dt) are written as they are.
// A sum goes over chunks of 8 columns: lane l of LANES adds up chunks l, l + LANES, ... in order, column by column, and
// the lanes' sums meet in a tree. Every product is added by fma(), which leaves a compiler nothing to round otherwise in
// one kernel than in another: a row has the same bits whichever of them computes it.
// Goes after _weight. The kernel declares the overrides and bindings that are used here.

// Columns of a chunk of x, of one row.
struct Chunk {
  low: vec4<f32>,
  high: vec4<f32>,
}

// The same of four rows of weight: vector k of a matrix is column k of them.
struct Weights {
  low: mat4x4<f32>,
  high: mat4x4<f32>,
  scales: vec4<f32>,
}

fn is_quantized() -> bool {
  return W_DTYPE == DTYPE_INT8 || W_DTYPE == DTYPE_INT4;
}

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

fn x_chunk(b: u32, chunk: u32) -> Chunk {
  let start = params.x_offset + b * params.ld_x;
  if (ALIGNED) {
    return Chunk(x[start / 4u + chunk * 2u], x[start / 4u + chunk * 2u + 1u]);
  }
  return Chunk(x_at(start, chunk * 8u), x_at(start, chunk * 8u + 4u));
}

// norm_weight is one tensor, which starts aligned; beyond D_IN it may hold anything, and x is zero there.
fn norm_weight_at(i: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), norm_weight[i / 4u], vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN));
}

fn normed(values: Chunk, chunk: u32) -> Chunk {
  return Chunk(values.low * norm_weight_at(chunk * 8u), values.high * norm_weight_at(chunk * 8u + 4u));
}

fn plus_squares(square: f32, v: vec4<f32>) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, square))));
}

// The lanes of a group read neighboring chunks, so that narrow loads of quantized weights are whole lines together.
fn weights_of_row(row: u32, chunk: u32) -> Chunk {
  let element = row * W_STRIDE + chunk * 8u;
  if (W_DTYPE == DTYPE_F32) {
    return Chunk(bitcast<vec4<f32>>(weight[element / 4u]), bitcast<vec4<f32>>(weight[element / 4u + 1u]));
  }
  if (W_DTYPE == DTYPE_INT8) {
    let words = weight[element / 16u];
    let half = select(words.xy, words.zw, element % 16u == 8u);
    return Chunk(unpack_int8(half.x), unpack_int8(half.y));
  }
  if (W_DTYPE == DTYPE_INT4) {
    let word = weight[element / 32u][element / 8u % 4u];
    return Chunk(unpack_int4(word), unpack_int4(word >> 4u));
  }
  let words = weight[element / 8u];
  if (W_DTYPE == DTYPE_F16) {
    return Chunk(unpack_f16(words.xy), unpack_f16(words.zw));
  }
  return Chunk(unpack_bf16(words.xy), unpack_bf16(words.zw));
}

// Of rows o to o + 3; past the end the last one's copies, whose sums nobody writes.
fn weights_at(o: u32, chunk: u32) -> Weights {
  let rows = min(vec4<u32>(o, o + 1u, o + 2u, o + 3u), vec4<u32>(ROWS - 1u));
  let a = weights_of_row(rows.x, chunk);
  let b = weights_of_row(rows.y, chunk);
  let c = weights_of_row(rows.z, chunk);
  let d = weights_of_row(rows.w, chunk);
  var scales = vec4<f32>(1.0);
  if (is_quantized()) {
    let column = chunk * 8u;
    scales = vec4<f32>(scale_at(rows.x, column), scale_at(rows.y, column), scale_at(rows.z, column),
                       scale_at(rows.w, column));
  }
  return Weights(transpose(mat4x4<f32>(a.low, b.low, c.low, d.low)),
                 transpose(mat4x4<f32>(a.high, b.high, c.high, d.high)), scales);
}

fn plus_columns(sum: vec4<f32>, v: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
  let two = fma(vec4<f32>(v.y), w[1], fma(vec4<f32>(v.x), w[0], sum));
  return fma(vec4<f32>(v.w), w[3], fma(vec4<f32>(v.z), w[2], two));
}

// The sums of four rows of weight, with a chunk more.
fn plus_chunk(sum: vec4<f32>, values: Chunk, w: Weights) -> vec4<f32> {
  if (is_quantized()) {
    let unscaled = plus_columns(plus_columns(vec4<f32>(0.0), values.low, w.low), values.high, w.high);
    return fma(w.scales, unscaled, sum);
  }
  return plus_columns(plus_columns(sum, values.low, w.low), values.high, w.high);
}

fn norm_factor(square: f32) -> f32 {
  return inverseSqrt(fma(square, 1.0 / f32(D_IN), EPS));
}

fn conv1d_step(b: u32, d: u32, newest: f32) -> f32 {
  let window = (b * D_INNER + d) * D_CONV;
  var sum = newest * conv_weight[d * D_CONV + D_CONV - 1u];
  for (var k = 0u; k + 1u < D_CONV; k++) {
    let value = conv_state[window + k + 1u];
    conv_state[window + k] = value;
    sum = fma(value, conv_weight[d * D_CONV + k], sum);
  }
  conv_state[window + D_CONV - 1u] = newest;
  if (CONV_BIAS) {
    sum += conv_bias[d];
  }
  return silu(sum);
}

// Writes y[b, o] from the sum of its products; `factor` is norm_factor() of the row, where there is a norm.
fn finish(b: u32, o: u32, sum: f32, factor: f32) {
  let at = b * params.ld_y + o;
  var addend = 0.0;
  if (BIAS) {
    addend = bias[o];
  }
  if (RESIDUAL && !CONV) {
    addend += y[at];
  }
  var value = select(sum + addend, fma(sum, factor, addend), NORM);
  if (CONV && o >= CONV_START && o - CONV_START < D_INNER) {
    value = conv1d_step(b, o - CONV_START, value);
  }
  if (RESIDUAL && CONV) {
    value += y[at];
  }
  y[at] = value;
}
