// _step_ends: the two ends of a step, for kernels of whole steps: input, norms, pooling and head.
// The kernel declares what _step and _grid say, and request (u32), session (atomic<u32>), own_residual (f32: OUT_ROWS),
// token (u32), D_MODEL, OUT_ROWS, INPUT_IDS, INPUT_BIAS, INPUT_ROWS, INPUT_COLUMNS, INPUT_DTYPE, POOL, POOL_LANES,
// LOGITS, HEAD_ROWS, HEAD_BIAS; and where things lie: AT_INPUT, AT_INPUT_BIAS, AT_NORM_F, AT_HEAD, AT_HEAD_BIAS in
// vec4s of weights_0, RESIDUAL in exchange, SEEN_AT, LOGITS_AT, POOL_AT in session.

// Kinds of products.
const IN_PROJ = 0u;
const OUT_PROJ = 1u;
const HEAD = 2u;
const X_PROJ = 3u;

// Which layer of all steps of the dispatch is computed, from 1 on: what is posted is marked with it.
var<private> mark: u32;

// What the host asks for: words of request.
const STEPS = 0u;         // how many
const CONSUME_FIRST = 1u; // whether the first has an input; otherwise it only draws
const DRAW = 2u;          // whether tokens are drawn
const PATIENCE = 3u;
const SETTINGS = 4u;      // see model/sampler.ts
const INPUTS = 16u;       // (steps, INPUT_COLUMNS), where inputs are no ids

fn request4(i: u32, end: u32) -> vec4<f32> {
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < 4u; j++) {
    if (i + j < end) {
      values[j] = bitcast<f32>(request[INPUTS + i + j]);
    }
  }
  return values;
}

// What a group has of `all`, if each has `each`.
fn own_count(group: u32, each: u32, all: u32) -> u32 {
  return min(each, all - min(all, group * each));
}

fn input_matrix() -> Matrix {
  return Matrix(vec2<u32>(0u, AT_INPUT), INPUT_ROWS, INPUT_COLUMNS, INPUT_DTYPE);
}

// What a chunk of a row of the input's projection adds to its chain.
fn plus_input(sum: f32, row: u32, chunk: u32, step: u32) -> f32 {
  let m = input_matrix();
  let quads = chunk_columns(INPUT_DTYPE) / 4u;
  let start = step * INPUT_COLUMNS;
  let first = load_quad(m, row, chunk * quads);
  let is_scaled = INPUT_DTYPE >= DTYPE_INT8;
  var part = select(sum, 0.0, is_scaled);
  for (var quad = chunk * quads; quad < (chunk + 1u) * quads; quad++) {
    part = plus_dot(
      part, unpack_quad(INPUT_DTYPE, first.words, quad), request4(start + quad * 4u, start + INPUT_COLUMNS));
  }
  if (is_scaled) {
    return fma(scale_of(first.scale, chunk * quads * 4u / QUANT_GROUP), part, sum);
  }
  return part;
}

// A row of it.
fn projected(step: u32, row: u32) -> f32 {
  if (row >= D_MODEL) {
    return 0.0;
  }
  let chunks = row_chunks(INPUT_COLUMNS, INPUT_DTYPE);
  var total = 0.0;
  var group = 0.0;
  for (var chain = 0u; chain < min(CHAINS, (chunks + GROUP_CHAINS - 1u) / GROUP_CHAINS * GROUP_CHAINS); chain++) {
    var sum = 0.0;
    for (var chunk = chain; chunk < chunks; chunk += CHAINS) {
      sum = plus_input(sum, row, chunk, step);
    }
    group += sum;
    if (ends_group(chain)) {
      total += group;
      group = 0.0;
    }
  }
  if (INPUT_BIAS) {
    total += element(vec2<u32>(0u, AT_INPUT_BIAS), row);
  }
  return total;
}

// vec4 v of the residual stream before the first block.
fn input4(step: u32, v: u32) -> vec4<f32> {
  if (INPUT_IDS) {
    return quad_at(input_matrix(), token, v);
  }
  let row = 4u * v;
  return vec4<f32>(
    projected(step, row), projected(step, row + 1u), projected(step, row + 2u), projected(step, row + 3u));
}

fn begin_residual(group: u32, lane: u32, step: u32) {
  for (var i = lane; i < OUT_ROWS; i += LANES) {
    let row = group * OUT_ROWS + i;
    if (row < D_MODEL) {
      own_residual[i] = input4(step, row / 4u)[row % 4u];
    }
  }
  if (INPUT_IDS && group == 0u && lane == 0u) {
    atomicOr(&session[SEEN_AT + token / 32u], 1u << (token % 32u));
  }
}

// Lays vec4 v of an input out in x, times the weight of a norm where it is normed: norm_factor() is missing then.
fn lay_out(p: Product, v: u32, values: vec4<f32>, is_normed: bool, weight: vec4<u32>) {
  if (is_normed) {
    x[x_place(p, v)] = values * bitcast<vec4<f32>>(weight);
    sums[SQUARES + v] = square_of(values);
  } else {
    x[x_place(p, v)] = values;
  }
}

// All lanes meet when it is laid out; sums of squares follow.
fn end_stage(p: Product, lane: u32, is_normed: bool) {
  if (lane == 0u) {
    x[X_VECS - 1u] = vec4<f32>(0.0);
  }
  workgroupBarrier();
  if (is_normed) {
    sum_squares(p, lane);
  }
}

// The input of a step.
fn stage_input(p: Product, lane: u32, step: u32, norm: vec2<u32>) {
  for (var v = stage_lane(lane); v < x_vecs(p); v += STAGE_LANES) {
    var values = vec4<f32>(0.0);
    var weight = vec4<u32>(0u);
    if (v * 4u < D_MODEL) {
      values = input4(step, v);
      weight = load(norm, v);
    }
    lay_out(p, v, values, true, weight);
  }
  end_stage(p, lane, true);
}

fn load_norm4(norm: vec2<u32>, columns: u32, v: u32) -> vec4<u32> {
  if (v < X_VECS && v * 4u < columns) {
    return load(norm, v);
  }
  return vec4<u32>(0u);
}

// An input that is posted on a board for a mark. Of the weights of a norm, a lane has loaded those of its first three
// vec4s. When its first four numbers are there, the next ones are likely to be.
fn stage(
  p: Product, lane: u32, board: u32, source_mark: u32, is_normed: bool, norm: vec2<u32>, weights: NormWeights,
) {
  let first = stage_lane(lane);
  let vecs = x_vecs(p);
  if (first < vecs) {
    lay_out(p, first, posted4(board, p.columns, source_mark, first), is_normed, weights.a);
    for (var v = first + STAGE_LANES; v < vecs; v += 2u * STAGE_LANES) {
      let w = v + STAGE_LANES;
      let words_v = look(board, p.columns, source_mark, v);
      let words_w = look(board, p.columns, source_mark, w);
      var weight_v = weights.b;
      var weight_w = weights.c;
      if (is_normed && v > first + STAGE_LANES) {
        weight_v = load_norm4(norm, p.columns, v);
        weight_w = load_norm4(norm, p.columns, w);
      }
      lay_out(p, v, wait_for(words_v, board, p.columns, source_mark, v), is_normed, weight_v);
      if (w < vecs) {
        lay_out(p, w, wait_for(words_w, board, p.columns, source_mark, w), is_normed, weight_w);
      }
    }
  }
  end_stage(p, lane, is_normed);
}

// x becomes the running mean of norm_f of all steps, in the order of sums of rms_norm_fwd: see mean_pool_fwd. One group
// alone has it.
fn pool(p: Product, lane: u32) {
  var square = 0.0;
  if (lane < POOL_LANES) {
    for (var d = lane; d < D_MODEL; d += POOL_LANES) {
      let value = posted(RESIDUAL, D_MODEL, mark, d);
      square = fma(value, value, square);
    }
    sums[lane] = square;
  }
  for (var half = POOL_LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
  }
  workgroupBarrier();
  let rstd = inverseSqrt(sums[0] / f32(D_MODEL) + EPS);
  for (var v = lane; v * 4u < D_MODEL; v += LANES) {
    let weight = bitcast<vec4<f32>>(load(vec2<u32>(0u, AT_NORM_F), v));
    x[x_place(p, v)] = posted4(RESIDUAL, D_MODEL, mark, v) * rstd * weight;
  }
  // What was rounded here is what a list of dispatches has in memory.
  workgroupBarrier();
  for (var v = lane; v * 4u < D_MODEL; v += LANES) {
    let normed = x[x_place(p, v)];
    var means = vec4<f32>(0.0);
    for (var j = 0u; j < 4u; j++) {
      let d = v * 4u + j;
      if (d < D_MODEL) {
        let n = bitcast<f32>(atomicLoad(&session[POOL_AT + D_MODEL + d])) + 1.0;
        let mean = bitcast<f32>(atomicLoad(&session[POOL_AT + d]));
        means[j] = mean + (normed[j] - mean) / n;
        atomicStore(&session[POOL_AT + d], bitcast<u32>(means[j]));
        atomicStore(&session[POOL_AT + D_MODEL + d], bitcast<u32>(n));
      }
    }
    x[x_place(p, v)] = means;
  }
  workgroupBarrier();
}

fn take_logit(row: u32, sum: f32) {
  var bias = 0.0;
  if (HEAD_BIAS) {
    bias = element(vec2<u32>(0u, AT_HEAD_BIAS), row);
  }
  var value = sum + bias;
  if (!POOL) {
    value = fma(sum, norm_factor(1.0 / f32(D_MODEL)), bias);
  }
  atomicStore(&session[LOGITS_AT + row], bitcast<u32>(value));
}

// Posts an element of the residual stream.
fn take_residual(group: u32, i: u32, value: f32) {
  own_residual[i] = value;
  post(RESIDUAL, D_MODEL, mark, group * OUT_ROWS + i, value);
}
