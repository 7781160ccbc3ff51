// step_mamba2: whole steps of a Mamba-2 model in one dispatch: input, blocks, head, and the draw of the next token.
//   GROUPS workgroups walk through all layers and wait for each other three times a layer. Each has CHANNELS channels
//   of every block, some of the rows of B, C and dt, and OUT_ROWS elements of the residual stream:
//   1. norm, in_proj and conv1d of its channels and rows; B, C and dt are posted
//   2. the recurrence and the gate of its channels
//   3. the gated norm, its elements of out_proj and residual stream
//   x and z never leave the workgroup, nor do the states. See step_mamba1, and ssd_step for formulas and order of sums.
override GROUPS: u32;
override LANES: u32;       // a multiple of 32, at least 256
override N_LAYER: u32;
override D_MODEL: u32;
override D_INNER: u32;
override D_STATE: u32;
override D_CONV: u32;
override NHEADS: u32;
override HEADDIM: u32;
override NGROUPS: u32;
override DT_MIN: f32;
override DT_MAX: f32;
override D_HAS_HDIM: bool;
override EPS: f32;
override BIAS: bool;
override CONV_BIAS: bool;
override W_DTYPE: u32;     // of all matrices but that of the input
override CHANNELS: u32;    // a multiple of 4
override IN_LANE_ROWS: u32; // how products are tiled: rows of a lane at a time, and chunks of each
override IN_TURNS: u32;
override OUT_LANE_ROWS: u32;
override OUT_TURNS: u32;
override HEAD_LANE_ROWS: u32;
override HEAD_TURNS: u32;
override OUT_NORM: bool;   // of all gated channels together
override OUT_ROWS: u32;
override X_VECS: u32;      // the longest input of a product, in vec4s, and one
override PART: u32;        // partial sums of rows at once, and at least 2 LANES
override INPUT_IDS: bool;
override INPUT_BIAS: bool;
override INPUT_ROWS: u32;
override INPUT_COLUMNS: u32;
override INPUT_DTYPE: u32;
override POOL: bool;
override POOL_LANES: u32;  // that norm_f has before it
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
override SUMS: u32 = SQUARES + X_VECS + 32u;
override REST: u32 = 2u * NGROUPS * D_STATE + NHEADS; // rows of in_proj behind x: B, C, dt
override REST_FOURS: u32 = (REST + 7u) / 4u; // read by fours, of which the last may begin anywhere
override REST_ROWS: u32 = (REST + GROUPS - 1u) / GROUPS;
override IN_ROWS: u32 = 2u * D_INNER + REST;
override IN_MOST: u32 = 2u * CHANNELS + REST_ROWS;
override CHANNEL_SLOTS: u32 = CHANNELS + REST_ROWS;
override GATED: u32 = 64u + (REST + 3u) / 4u * 16u; // places in exchange: boards, see _grid
override RESIDUAL: u32 = GATED + (D_INNER + 3u) / 4u * 16u;
override SUMMARIES: u32 = RESIDUAL + (D_MODEL + 3u) / 4u * 16u;
override TOTALS: u32 = SUMMARIES + 8u * GROUPS;
override BINS: u32 = TOTALS + GROUPS + 1u;

@group(0) @binding(0) var<storage, read> weights_0: array<vec4<u32>>;           // the ends, then layers
@group(0) @binding(1) var<storage, read> weights_1: array<vec4<u32>>;           // further layers
@group(0) @binding(2) var<storage, read> weights_2: array<vec4<u32>>;           // further layers
@group(0) @binding(3) var<storage, read> request: array<u32>;                   // STEPS ..., settings, inputs
@group(0) @binding(4) var<storage, read_write> session: array<atomic<u32>>;     // tokens ... pool_state
@group(0) @binding(5) var<storage, read_write> carried: array<f32>;             // (N_LAYER, CARRIED)
@group(0) @binding(6) var<storage, read_write> exchange: array<atomic<u32>>;    // see _grid, then POSTED_REST ...

var<workgroup> x: array<vec4<f32>, X_VECS>;
var<workgroup> sums: array<f32, SUMS>;
var<workgroup> own_residual: array<f32, OUT_ROWS>;
var<workgroup> conv_sums: array<f32, CHANNEL_SLOTS>;
var<workgroup> conv_last: array<f32, CHANNEL_SLOTS>;
var<workgroup> skip: array<f32, CHANNELS>;
var<workgroup> u: array<f32, CHANNELS>;
var<workgroup> z: array<f32, CHANNELS>;
var<workgroup> rest: array<vec4<f32>, REST_FOURS>;
var<workgroup> token: u32;
var<workgroup> chosen: u32;

const PRODUCTS = 2u;
const POSTED_REST = 64u; // a board in exchange: (REST)

// There is no x_proj.
const X_EACH = 1u;
const X_LANE_ROWS = 1u;
const X_TURNS = 1u;
const X_ROWS = 0u;
const AT_X = 0u;
const X_SOURCE = 0u;
const X_DBL = 0u;

// Lanes that share a channel, with four states each at a time: as many as ssd_step has at most. Where it has fewer,
// what the others add is zero.
const SCAN_LANES = 16u;

// What is loaded before it is used, of the lane's first channel: its first and second four states.
var<private> h_first: vec4<f32>;
var<private> h_second: vec4<f32>;
var<private> A_log_first: f32;
var<private> dt_bias_first: f32;

// in_proj's own rows are the inputs of the channels, their gates, and the rest.
fn product_of(kind: u32, index: u32, group: u32) -> Product {
  if (kind != IN_PROJ) {
    return plain_product(kind, index, group);
  }
  let own = own_count(group, CHANNELS, D_INNER);
  let first = group * CHANNELS;
  var p = shape_of(IN_PROJ);
  p.at = layer_at(index) + vec2<u32>(0u, AT_IN);
  p.rows = 2u * own + own_count(group, REST_ROWS, REST);
  p.split = own;
  p.split_2 = 2u * own;
  p.first_row = D_INNER + first;
  p.second_row = first - own;
  p.third_row = 2u * D_INNER + group * REST_ROWS - 2u * own;
  return p;
}

fn take_in_proj(group: u32, i: u32, result: f32) {
  let own = own_count(group, CHANNELS, D_INNER);
  if (i < own) {
    u[i] = finish_conv(i, group * CHANNELS + i, result);
  } else if (i < 2u * own) {
    z[i - own] = result;
  } else {
    let row = group * REST_ROWS + i - 2u * own;
    var value = result;
    if (row < 2u * NGROUPS * D_STATE) {
      value = finish_conv(CHANNELS + i - 2u * own, D_INNER + row, value);
    }
    post(POSTED_REST, REST, mark, row, value);
  }
}

// A channel, or behind them a row of B and C.
fn load_channel(group: u32, c: u32) {
  let d = group * CHANNELS + c;
  let row = group * REST_ROWS + c - CHANNELS;
  if (c < CHANNELS && d < D_INNER) {
    skip_first = element(in_layer(AT_D), select(d / HEADDIM, d, D_HAS_HDIM));
    load_conv(d);
  } else if (c >= CHANNELS && c < CHANNEL_SLOTS && row < 2u * NGROUPS * D_STATE) {
    load_conv(D_INNER + row);
  }
}

fn begin_channel(group: u32, c: u32) {
  let d = group * CHANNELS + c;
  let row = group * REST_ROWS + c - CHANNELS;
  if (c < CHANNELS && d < D_INNER) {
    skip[c] = skip_first;
    begin_conv(c, d);
  } else if (c >= CHANNELS && c < CHANNEL_SLOTS && row < 2u * NGROUPS * D_STATE) {
    begin_conv(c, D_INNER + row);
  }
}

fn rest_at(i: u32) -> f32 {
  return rest[i / 4u][i % 4u];
}

// Four of B or C, zero past the last one.
fn rest4(start: u32, n: u32) -> vec4<f32> {
  let i = start + n;
  if (D_STATE % 4u == 0u) {
    return select(vec4<f32>(0.0), rest[i / 4u], n < D_STATE);
  }
  return select(vec4<f32>(0.0), vec4<f32>(rest_at(i), rest_at(i + 1u), rest_at(i + 2u), rest_at(i + 3u)), exist(n));
}

fn load_mixer(group: u32, lane: u32) {
  let d = min(group * CHANNELS + min(lane / SCAN_LANES, CHANNELS - 1u), D_INNER - 1u);
  A_log_first = element(in_layer(AT_A_LOG), d / HEADDIM);
  dt_bias_first = element(in_layer(AT_DT_BIAS), d / HEADDIM);
  h_first = load_states(d, lane % SCAN_LANES * 4u);
  h_second = load_states(d, (lane % SCAN_LANES + SCAN_LANES) * 4u);
}

// Moves four states of channel d on, and returns what they add to its sum.
fn scan_four(sum: f32, h: vec4<f32>, d: u32, n: u32, A_bar: f32, dt_u: f32) -> f32 {
  let B = d / HEADDIM / (NHEADS / NGROUPS) * D_STATE;
  let next = fma(vec4<f32>(A_bar), h, dt_u * rest4(B, n));
  write_states(d, n, next);
  return plus_dot(sum, rest4(B + NGROUPS * D_STATE, n), next);
}

// Moves a lane's states of channel d on, and returns its sum over them. Those that were loaded are written out.
fn scan_states(c: u32, d: u32, lane: u32, is_first: bool) -> f32 {
  let head = d / HEADDIM;
  var A_log = A_log_first;
  var dt_bias = dt_bias_first;
  if (!is_first) {
    A_log = element(in_layer(AT_A_LOG), head);
    dt_bias = element(in_layer(AT_DT_BIAS), head);
    h_first = load_states(d, lane % SCAN_LANES * 4u);
    h_second = load_states(d, (lane % SCAN_LANES + SCAN_LANES) * 4u);
  }
  let dt = clamp(softplus(rest_at(2u * NGROUPS * D_STATE + head) + dt_bias), DT_MIN, DT_MAX);
  let A_bar = exp(-dt * exp(A_log));
  let dt_u = dt * u[c];
  let begin = lane % SCAN_LANES * 4u;
  var sum = 0.0;
  if (begin < D_STATE) {
    sum = scan_four(sum, h_first, d, begin, A_bar, dt_u);
  }
  if (begin + SCAN_LANES * 4u < D_STATE) {
    sum = scan_four(sum, h_second, d, begin + SCAN_LANES * 4u, A_bar, dt_u);
  }
  for (var n = begin + SCAN_LANES * 8u; n < D_STATE; n += SCAN_LANES * 4u) {
    sum = scan_four(sum, load_states(d, n), d, n, A_bar, dt_u);
  }
  return sum;
}

// As ssd_step has it: halves are added to halves.
fn sum16(start: u32) -> f32 {
  let sum = (sums4(start) + sums4(start + 8u)) + (sums4(start + 4u) + sums4(start + 12u));
  return (sum.x + sum.z) + (sum.y + sum.w);
}

// What other workgroups post for the mixer.
fn gather(lane: u32) {
  for (var v = stage_lane(lane); v < (REST + 3u) / 4u; v += STAGE_LANES) {
    rest[v] = posted4(POSTED_REST, REST, mark, v);
  }
  workgroupBarrier();
}

// Recurrence, skip and gate of the own channels.
fn mix(group: u32, lane: u32) {
  let channels = LANES / SCAN_LANES; // at once
  for (var first = 0u; first < CHANNELS; first += channels) {
    let c = first + lane / SCAN_LANES;
    let d = group * CHANNELS + c;
    var sum = 0.0;
    if (c < CHANNELS && d < D_INNER) {
      sum = scan_states(c, d, lane, first == 0u);
    }
    let half = first / channels % 2u * PART;
    sums[half + lane / SCAN_LANES * (SCAN_LANES + 1u) + lane % SCAN_LANES] = sum;
    workgroupBarrier();
    let own = first + lane;
    if (lane < channels && own < own_count(group, CHANNELS, D_INNER)) {
      let y = fma(skip[own], u[own], sum16(half + lane * (SCAN_LANES + 1u)));
      post(GATED, D_INNER, mark, group * CHANNELS + own, y * silu(z[own]));
    }
  }
}

@compute @workgroup_size(LANES)
fn step_mamba2(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  run_steps(wid.x, lane);
}
