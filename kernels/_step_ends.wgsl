// _step_ends: the two ends of a step, for kernels of whole steps: input, norms, pooling and head.
// The kernel declares what _step and _grid say, and request (u32), session (atomic<u32>), own_residual (f32: OUT_ROWS),
// token (u32), D_MODEL, OUT_ROWS, INPUT_IDS, INPUT_BIAS, INPUT_ROWS, INPUT_COLUMNS, INPUT_DTYPE, POOL, LOGITS,
// HEAD_ROWS, HEAD_BIAS; and where things lie: AT_INPUT, AT_INPUT_BIAS, AT_NORM_F, AT_HEAD, AT_HEAD_BIAS in vec4s of
// weights_0, RESIDUAL in exchange, SEEN_AT, LOGITS_AT, POOL_AT in session.

// Kinds of products.
const IN_PROJ = 0u;
const OUT_PROJ = 1u;
const HEAD = 2u;

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

// A row of the input's projection.
fn projected(step: u32, row: u32) -> f32 {
  if (row >= D_MODEL) {
    return 0.0;
  }
  var sum = 0.0;
  for (var i = 0u; i < INPUT_COLUMNS; i += 4u) {
    let start = step * INPUT_COLUMNS;
    sum += dot(quad_at(input_matrix(), row, i / 4u), request4(start + i, start + INPUT_COLUMNS));
  }
  if (INPUT_BIAS) {
    sum += element(vec2<u32>(0u, AT_INPUT_BIAS), row);
  }
  return sum;
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

// Lays the input of a product out in x: of the model, or handed over from `place` on; times the weight of a norm, of
// which a lane has loaded its first vec4, where it is normed: rstd_of(its columns) is missing then.
fn stage(
  p: Product, lane: u32, place: u32, is_input: bool, step: u32, is_normed: bool, norm: vec2<u32>,
  norm_first: vec4<u32>,
) {
  var square = 0.0;
  for (var v = lane; v < x_vecs(p); v += LANES) {
    var values = vec4<f32>(0.0);
    if (v * 4u < p.columns) {
      if (is_input) {
        values = input4(step, v);
      } else {
        values = handed4(place + v * 4u);
      }
      square += dot(values, values);
      if (is_normed) {
        var weight = norm_first;
        if (v >= LANES) {
          weight = load(norm, v);
        }
        values *= bitcast<vec4<f32>>(weight);
      }
    }
    x[x_place(p, v)] = values;
  }
  sums[SQUARES + lane] = square;
  if (lane == 0u) {
    x[X_VECS - 1u] = vec4<f32>(0.0);
  }
  workgroupBarrier();
  sum_squares(lane);
}

// x becomes the running mean of all steps: see mean_pool_fwd. One group alone has it.
fn pool(p: Product, lane: u32) {
  workgroupBarrier();
  let rstd = rstd_of(D_MODEL);
  for (var v = lane; v * 4u < D_MODEL; v += LANES) {
    let normed = x[x_place(p, v)] * rstd;
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

fn take_logit(group: u32, i: u32, sum: f32) {
  let row = group * HEAD_ROWS + i;
  var value = sum;
  if (!POOL) {
    value *= rstd_of(D_MODEL);
  }
  if (HEAD_BIAS) {
    value += element(vec2<u32>(0u, AT_HEAD_BIAS), row);
  }
  atomicStore(&session[LOGITS_AT + row], bitcast<u32>(value));
}

// Adds an element of out_proj to the residual stream, and hands it over.
fn take_residual(group: u32, i: u32, value: f32) {
  own_residual[i] += value;
  hand_over(RESIDUAL + group * OUT_ROWS + i, own_residual[i]);
}
