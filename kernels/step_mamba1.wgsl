// step_mamba1: whole steps of a Mamba-1 model in one dispatch: input, blocks, head, and the draw of the next token.
//   GROUPS workgroups walk through all layers and meet three times a layer. Each has CHANNELS channels of every block
//   and OUT_ROWS elements of the residual stream:
//   1. norm, in_proj and conv1d of its channels, and what these add to each row of x_proj
//   2. the sum of what all added; dt_proj, scan and gate of its channels
//   3. its elements of out_proj and residual stream
//   u and z never leave the workgroup, nor do the states. What the next part needs of the weights is loaded while the
//   others arrive. Sums have one order: the same bits each run.
override GROUPS: u32;
override LANES: u32;       // a multiple of 32, at least 256
override N_LAYER: u32;
override D_MODEL: u32;
override D_INNER: u32;
override D_STATE: u32;
override D_CONV: u32;
override DT_RANK: u32;
override EPS: f32;
override DT_BC_EPS: f32;   // FalconMamba's norms of dt_low, B and C; 0 for none
override BIAS: bool;
override CONV_BIAS: bool;
override W_DTYPE: u32;     // of all matrices but those of input and dt_proj
override DT_DTYPE: u32;    // of dt_proj
override CHANNELS: u32;    // a multiple of 4
override OUT_NORM: bool;   // none here
override OUT_ROWS: u32;
override ROW_LANES: u32;   // that share a row of a product: 32 or 64
override X_VECS: u32;      // the longest input of a product, in vec4s, and one
override PART: u32;        // partial sums of rows at once, and at least 2 LANES
override INPUT_IDS: bool;
override INPUT_BIAS: bool;
override INPUT_ROWS: u32;
override INPUT_COLUMNS: u32;
override INPUT_DTYPE: u32;
override POOL: bool;
override LOGITS: u32;
override HEAD_ROWS: u32;
override HEAD_BIAS: bool;
override SHARED: bool;
override REAL_VOCAB_SIZE: u32;
override RING: u32;
override ARENAS: u32;      // buffers of weights
override LAYERS_0: u32;    // layers in the first of them, which has the ends too
override LAYERS_1: u32;    // in each of the others
override FIRST_LAYER: u32; // where they begin, and where in them, in vec4s
override LAYER_VECS: u32;
override AT_INPUT: u32;
override AT_INPUT_BIAS: u32;
override AT_NORM_F: u32;
override AT_HEAD: u32;
override AT_HEAD_BIAS: u32;
override AT_NORM: u32;
override AT_IN: u32;
override AT_IN_BIAS: u32;
override AT_CONV: u32;
override AT_CONV_BIAS: u32;
override AT_X: u32;
override AT_DT: u32;
override AT_DT_BIAS: u32;
override AT_A_LOG: u32;
override AT_D: u32;
override AT_OUT: u32;
override AT_OUT_BIAS: u32;
override AT_OUT_NORM: u32;
override CONV_AT: u32;     // in carried, of the first layer
override SSM_AT: u32;
override CARRIED: u32;     // from layer to layer
override TOKENS_AT: u32;   // in session
override DRAWS_AT: u32;
override RING_AT: u32;
override SEEN_AT: u32;
override LOGITS_AT: u32;
override POOL_AT: u32;
override SQUARES: u32 = 2u * PART;
override SUMS: u32 = SQUARES + LANES + 32u;
override X_ROWS: u32 = DT_RANK + 2u * D_STATE;
override X_ROOM: u32 = X_ROWS + 4u; // read by fours
override GATED: u32 = 64u + GROUPS * X_ROWS; // places in exchange
override RESIDUAL: u32 = GATED + (D_INNER + 3u) / 4u * 4u;
override SUMMARIES: u32 = RESIDUAL + (D_MODEL + 3u) / 4u * 4u;
override TOTALS: u32 = SUMMARIES + 8u * GROUPS;
override BINS: u32 = TOTALS + GROUPS + 1u;

@group(0) @binding(0) var<storage, read> weights_0: array<vec4<u32>>;           // the ends, then layers
@group(0) @binding(1) var<storage, read> weights_1: array<vec4<u32>>;           // further layers
@group(0) @binding(2) var<storage, read> weights_2: array<vec4<u32>>;           // further layers
@group(0) @binding(3) var<storage, read> request: array<u32>;                   // STEPS ..., settings, inputs
@group(0) @binding(4) var<storage, read_write> session: array<atomic<u32>>;     // tokens ... pool_state
@group(0) @binding(5) var<storage, read_write> carried: array<f32>;             // (N_LAYER, CARRIED)
@group(0) @binding(6) var<storage, read_write> exchange: array<atomic<u32>>;    // see _grid, then PARTIALS ...

var<workgroup> x: array<vec4<f32>, X_VECS>;
var<workgroup> sums: array<f32, SUMS>;
var<workgroup> own_residual: array<f32, OUT_ROWS>;
var<workgroup> conv_sums: array<f32, CHANNELS>;
var<workgroup> conv_last: array<f32, CHANNELS>;
var<workgroup> skip: array<f32, CHANNELS>;
var<workgroup> u: array<f32, CHANNELS>;
var<workgroup> z: array<f32, CHANNELS>;
var<workgroup> x_dbl: array<f32, X_ROOM>;
var<workgroup> token: u32;
var<workgroup> chosen: u32;

const PARTIALS = 64u; // in exchange: (GROUPS, X_ROWS)

// Lanes that share a channel of the scan.
const SCAN_LANES = 16u;

// What is loaded before it is used.
var<private> x_words_first: vec4<u32>;
var<private> x_scale_first: u32;
var<private> dt_words_first: vec4<u32>;
var<private> dt_bias_first: f32;
var<private> A_log_first: f32;
var<private> h_first: f32;

// in_proj and out_proj of each layer in turn, then the head. in_proj's own rows are the inputs of the channels, then
// their gates.
fn product_of(part: u32, group: u32) -> Product {
  let own = own_count(group, CHANNELS, D_INNER);
  return part_of(part, group, 2u * D_INNER, vec3<u32>(2u * own, own, 2u * own),
                 vec3<u32>(group * CHANNELS, D_INNER + group * CHANNELS - own, 0u));
}

fn take_in_proj(group: u32, i: u32, sum: f32) {
  let own = own_count(group, CHANNELS, D_INNER);
  let d = group * CHANNELS + select(i - own, i, i < own);
  var value = sum;
  if (BIAS) {
    value += element(in_layer(AT_IN_BIAS), select(D_INNER + d, d, i < own));
  }
  if (i < own) {
    u[i] = finish_conv(i, d, value);
  } else {
    z[i - own] = value;
  }
}

// The last lanes see to the channels: the first one waits for the other workgroups.
fn begin_mixer(group: u32, lane: u32) {
  let x_first = load_x_quad(group, lane, lane % x_lanes());
  x_words_first = x_first.words;
  x_scale_first = x_first.scale;
  for (var c = LANES - 1u - lane; c < CHANNELS; c += LANES) {
    let d = group * CHANNELS + c;
    u[c] = 0.0;
    if (d < D_INNER) {
      skip[c] = element(in_layer(AT_D), d);
      begin_conv(c, d);
    }
  }
}

fn x_matrix() -> Matrix {
  return Matrix(in_layer(AT_X), X_ROWS, D_INNER, W_DTYPE);
}

// Lanes that share a row of x_proj.
fn x_lanes() -> u32 {
  return max(1u, min(CHANNELS / 4u, LANES / X_ROWS));
}

fn load_x_quad(group: u32, task: u32, quad: u32) -> Quad {
  let column = group * (CHANNELS / 4u) + quad;
  if (quad < CHANNELS / 4u && column * 4u < D_INNER && task < X_ROWS * x_lanes()) {
    return load_quad(x_matrix(), task / x_lanes(), column);
  }
  return Quad(vec4<u32>(0u), 0u);
}

// What four channels add to a row; u is zero for those that are not there.
fn x_dot(group: u32, q: Quad, quad: u32) -> f32 {
  return dot(unpack_quad(W_DTYPE, q, group * (CHANNELS / 4u) + quad), u4(quad));
}

fn u4(quad: u32) -> vec4<f32> {
  return vec4<f32>(u[quad * 4u], u[quad * 4u + 1u], u[quad * 4u + 2u], u[quad * 4u + 3u]);
}

// Hands over what the own channels add to each row of x_proj.
fn finish_in_proj(group: u32, lane: u32) {
  let share = x_lanes();
  for (var task = lane; task < X_ROWS * share; task += LANES) {
    var sum = 0.0;
    if (task == lane) {
      sum = x_dot(group, Quad(x_words_first, x_scale_first), task % share);
    } else {
      sum = x_dot(group, load_x_quad(group, task, task % share), task % share);
    }
    for (var quad = task % share + share; quad < CHANNELS / 4u; quad += share) {
      sum += x_dot(group, load_x_quad(group, task, quad), quad);
    }
    sums[task] = sum;
  }
  workgroupBarrier();
  for (var row = lane; row < X_ROWS; row += LANES) {
    var sum = sums[row * share];
    for (var i = 1u; i < share; i++) {
      sum += sums[row * share + i];
    }
    hand_over(PARTIALS + group * X_ROWS + row, sum);
  }
}

// What the group that is i behind this one added to a row; zero if there are not so many.
fn added(group: u32, i: u32, row: u32) -> f32 {
  if (i < GROUPS) {
    let other = group + i;
    return handed(PARTIALS + select(other - GROUPS, other, other < GROUPS) * X_ROWS + row);
  }
  return 0.0;
}

fn added4(group: u32, i: u32, step: u32, row: u32) -> vec4<f32> {
  return vec4<f32>(
    added(group, i, row), added(group, i + step, row), added(group, i + 2u * step, row),
    added(group, i + 3u * step, row));
}

// x_dbl: the sums of what all groups added. Each begins with itself: not all read the same memory at the same time.
fn sum_x_dbl(group: u32, lane: u32) {
  let share = max(1u, LANES / X_ROWS);
  for (var task = lane; task < X_ROWS * share; task += LANES) {
    let row = task % X_ROWS;
    var sum = vec4<f32>(0.0);
    for (var i = task / X_ROWS; i < GROUPS; i += 32u * share) {
      let step = 4u * share;
      sum += ((added4(group, i, share, row) + added4(group, i + step, share, row)) +
          (added4(group, i + 2u * step, share, row) + added4(group, i + 3u * step, share, row))) +
        ((added4(group, i + 4u * step, share, row) + added4(group, i + 5u * step, share, row)) +
          (added4(group, i + 6u * step, share, row) + added4(group, i + 7u * step, share, row)));
    }
    sums[task] = (sum.x + sum.y) + (sum.z + sum.w);
  }
  workgroupBarrier();
  for (var row = lane; row < X_ROWS; row += LANES) {
    var sum = sums[row];
    for (var i = 1u; i < share; i++) {
      sum += sums[row + i * X_ROWS];
    }
    x_dbl[row] = sum;
  }
  workgroupBarrier();
  if (DT_BC_EPS > 0.0) {
    norm_x_dbl(lane);
  }
}

// See dt_bc_norm_fwd.
fn norm_x_dbl(lane: u32) {
  if (lane < 3u) {
    let start = select(DT_RANK + (lane - 1u) * D_STATE, 0u, lane == 0u);
    let size = select(D_STATE, DT_RANK, lane == 0u);
    var square = 0.0;
    for (var i = start; i < start + size; i++) {
      square += x_dbl[i] * x_dbl[i];
    }
    sums[lane] = inverseSqrt(square / f32(size) + DT_BC_EPS);
  }
  workgroupBarrier();
  for (var row = lane; row < X_ROWS; row += LANES) {
    x_dbl[row] *= sums[select(1u + (row - DT_RANK) / D_STATE, 0u, row < DT_RANK)];
  }
  workgroupBarrier();
}

fn dt_matrix() -> Matrix {
  return Matrix(in_layer(AT_DT), D_INNER, DT_RANK, DT_DTYPE);
}

// What a lane needs first of the scan. dt_proj is never quantized: it has no scales.
fn load_mixer(group: u32, lane: u32) {
  let d = min(group * CHANNELS + min(lane / SCAN_LANES, CHANNELS - 1u), D_INNER - 1u);
  let n = lane % SCAN_LANES;
  dt_bias_first = element(in_layer(AT_DT_BIAS), d);
  dt_words_first = load_quad(dt_matrix(), d, min(n, (DT_RANK - 1u) / 4u)).words;
  A_log_first = element(in_layer(AT_A_LOG), d * D_STATE + min(n, D_STATE - 1u));
  h_first = carried[layer_state + SSM_AT + d * D_STATE + min(n, D_STATE - 1u)];
}

fn dt_low4(quad: u32) -> vec4<f32> {
  return vec4<f32>(x_dbl[quad * 4u], x_dbl[quad * 4u + 1u], x_dbl[quad * 4u + 2u], x_dbl[quad * 4u + 3u]);
}

// dt_proj, recurrence, skip and gate of the own channels: see selective_scan_step.
fn mix(group: u32, lane: u32) {
  sum_x_dbl(group, lane);
  let channels = LANES / SCAN_LANES; // at once
  let n = lane % SCAN_LANES;
  let place = lane / SCAN_LANES * (SCAN_LANES + 1u);
  for (var first = 0u; first < CHANNELS; first += channels) {
    let c = first + lane / SCAN_LANES;
    let d = group * CHANNELS + c;
    let is_own = c < CHANNELS && d < D_INNER;
    var dt_part = 0.0;
    if (first == 0u && n * 4u < DT_RANK) {
      dt_part = dot(unpack_quad(DT_DTYPE, Quad(dt_words_first, 0u), n), dt_low4(n));
    }
    if (is_own) {
      for (var quad = select(n, n + SCAN_LANES, first == 0u); quad * 4u < DT_RANK; quad += SCAN_LANES) {
        dt_part += dot(quad_at(dt_matrix(), d, quad), dt_low4(quad));
      }
    }
    sums[place + n] = dt_part;
    workgroupBarrier();
    var y_part = 0.0;
    if (is_own) {
      var bias = dt_bias_first;
      if (first > 0u) {
        bias = element(in_layer(AT_DT_BIAS), d);
      }
      let dt = softplus(sum16(place) + bias);
      for (var i = n; i < D_STATE; i += SCAN_LANES) {
        let at = layer_state + SSM_AT + d * D_STATE + i;
        var A_log = A_log_first;
        var h = h_first;
        if (first > 0u || i > n) {
          A_log = element(in_layer(AT_A_LOG), d * D_STATE + i);
          h = carried[at];
        }
        h = exp(-dt * exp(A_log)) * h + dt * x_dbl[DT_RANK + i] * u[c];
        carried[at] = h;
        y_part += x_dbl[DT_RANK + D_STATE + i] * h;
      }
    }
    sums[PART + place + n] = y_part;
    workgroupBarrier();
    let own = first + lane;
    if (lane < channels && own < own_count(group, CHANNELS, D_INNER)) {
      let y = sum16(PART + lane * (SCAN_LANES + 1u)) + skip[own] * u[own];
      hand_over(GATED + group * CHANNELS + own, y * silu(z[own]));
    }
  }
}

@compute @workgroup_size(LANES)
fn step_mamba1(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  run_steps(wid.x, lane);
}
