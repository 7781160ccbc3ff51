// step_mamba1: whole steps of a Mamba-1 model in one dispatch: input, blocks, head, and the draw of the next token.
//   GROUPS workgroups walk through all layers and wait for each other four times a layer. Each has CHANNELS channels of
//   every block, X_EACH rows of x_proj and OUT_ROWS elements of the residual stream:
//   1. norm, in_proj and conv1d of its channels
//   2. its rows of x_proj
//   3. dt_proj, scan and gate of its channels
//   4. its elements of out_proj and residual stream
//   z never leaves the workgroup, nor do the states. What the next part needs of the weights is loaded while the others
//   arrive. Sums have the order of a list of dispatches, and so the same bits, however many workgroups there are.
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
override IN_LANE_ROWS: u32; // how products are tiled: rows of a lane at a time, and chunks of each
override IN_TURNS: u32;
override X_LANE_ROWS: u32;
override X_TURNS: u32;
override OUT_LANE_ROWS: u32;
override OUT_TURNS: u32;
override HEAD_LANE_ROWS: u32;
override HEAD_TURNS: u32;
override OUT_NORM: bool;   // none here
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
override CHANNEL_SLOTS: u32 = CHANNELS;
override SQUARES: u32 = 2u * PART;
override SUMS: u32 = SQUARES + X_VECS + 32u;
override IN_ROWS: u32 = 2u * D_INNER;
override IN_MOST: u32 = 2u * CHANNELS;
override X_ROWS: u32 = DT_RANK + 2u * D_STATE;
override X_ROOM: u32 = X_ROWS + 4u; // read by fours
override X_EACH: u32 = (X_ROWS + GROUPS - 1u) / GROUPS;
override X_DBL: u32 = 64u + (D_INNER + 3u) / 4u * 16u; // places in exchange: boards, see _grid
override GATED: u32 = X_DBL + (X_ROWS + 3u) / 4u * 16u;
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
@group(0) @binding(6) var<storage, read_write> exchange: array<atomic<u32>>;    // see _grid, then X_SOURCE ...

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

const PRODUCTS = 3u;
const X_SOURCE = 64u; // a board in exchange: u of all channels

// Lanes that share a channel of the scan; as many as there are sums over states have the states.
const SCAN_LANES = 16u;

// What is loaded before it is used.
var<private> dt_words_first: vec4<u32>;
var<private> dt_bias_first: f32;
var<private> A_log_first: vec4<f32>;
var<private> h_first: vec4<f32>;

// in_proj's own rows are the inputs of the channels, then their gates.
fn product_of(kind: u32, index: u32, group: u32) -> Product {
  if (kind != IN_PROJ) {
    return plain_product(kind, index, group);
  }
  let own = own_count(group, CHANNELS, D_INNER);
  let first = group * CHANNELS;
  var p = shape_of(IN_PROJ);
  p.at = layer_at(index) + vec2<u32>(0u, AT_IN);
  p.rows = 2u * own;
  p.split = own;
  p.split_2 = 2u * own;
  p.first_row = first;
  p.second_row = D_INNER + first - own;
  return p;
}

fn take_in_proj(group: u32, i: u32, value: f32) {
  let own = own_count(group, CHANNELS, D_INNER);
  if (i < own) {
    let d = group * CHANNELS + i;
    u[i] = finish_conv(i, d, value);
    post(X_SOURCE, D_INNER, mark, d, u[i]);
  } else {
    z[i - own] = value;
  }
}

fn load_channel(group: u32, c: u32) {
  let d = group * CHANNELS + c;
  if (c < CHANNELS && d < D_INNER) {
    skip_first = element(in_layer(AT_D), d);
    load_conv(d);
  }
}

fn begin_channel(group: u32, c: u32) {
  let d = group * CHANNELS + c;
  if (c < CHANNELS && d < D_INNER) {
    skip[c] = skip_first;
    begin_conv(c, d);
  }
}

// See dt_bc_norm_fwd, which has as many lanes a part.
const NORM_LANES = 64u;

fn norm_x_dbl(lane: u32) {
  let part = lane / NORM_LANES;
  let first = lane % NORM_LANES;
  let start = select(DT_RANK + (part - 1u) * D_STATE, 0u, part == 0u);
  let size = select(D_STATE, DT_RANK, part == 0u);
  if (part < 3u) {
    var square = 0.0;
    for (var i = first; i < size; i += NORM_LANES) {
      square = fma(x_dbl[start + i], x_dbl[start + i], square);
    }
    sums[lane] = square;
  }
  for (var half = NORM_LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (part < 3u && first < half) {
      sums[lane] += sums[lane + half];
    }
  }
  workgroupBarrier();
  if (part < 3u) {
    let factor = inverseSqrt(sums[part * NORM_LANES] / f32(size) + DT_BC_EPS);
    for (var i = first; i < size; i += NORM_LANES) {
      x_dbl[start + i] *= factor;
    }
  }
  workgroupBarrier();
}

fn dt_chunks() -> u32 {
  return row_chunks(DT_RANK, DT_DTYPE);
}

// Chains that have a chunk, and those that fill up their last group.
fn dt_chains() -> u32 {
  return (min(CHAINS, dt_chunks()) + GROUP_CHAINS - 1u) / GROUP_CHAINS * GROUP_CHAINS;
}

fn load_dt(d: u32, chunk: u32) -> vec4<u32> {
  return load(in_layer(AT_DT), d * dt_chunks() + chunk);
}

fn load_A_log(d: u32, n: u32) -> vec4<f32> {
  let i = d * D_STATE + n;
  if (D_STATE % 4u == 0u) {
    return bitcast<vec4<f32>>(load(in_layer(AT_A_LOG), i / 4u));
  }
  let at = in_layer(AT_A_LOG);
  let values = vec4<f32>(element(at, i), element(at, i + 1u), element(at, i + 2u), element(at, i + 3u));
  return select(vec4<f32>(0.0), values, exist(n));
}

// What a lane needs first of the scan. dt_proj is never quantized: it has no scales.
fn load_mixer(group: u32, lane: u32) {
  let d = min(group * CHANNELS + min(lane / SCAN_LANES, CHANNELS - 1u), D_INNER - 1u);
  let n = lane % SCAN_LANES;
  dt_bias_first = element(in_layer(AT_DT_BIAS), d);
  dt_words_first = load_dt(d, min(n, dt_chunks() - 1u));
  if (n < STATE_SUMS) {
    A_log_first = load_A_log(d, min(4u * n, D_STATE - 1u) / 4u * 4u);
    h_first = load_states(d, min(4u * n, D_STATE - 1u) / 4u * 4u);
  }
}

fn x_dbl4(i: u32) -> vec4<f32> {
  return vec4<f32>(x_dbl[i], x_dbl[i + 1u], x_dbl[i + 2u], x_dbl[i + 3u]);
}

// Four of dt_low, zero past the last one.
fn dt_low4(r: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), x_dbl4(r), vec4<u32>(r, r + 1u, r + 2u, r + 3u) < vec4<u32>(DT_RANK));
}

// What a chunk of a row of dt_proj adds to its chain.
fn plus_dt(sum: f32, words: vec4<u32>, chunk: u32) -> f32 {
  let r = chunk * chunk_columns(DT_DTYPE);
  let more = plus_dot(sum, unpack_quad(DT_DTYPE, words, 0u), dt_low4(r));
  if (DT_DTYPE == DTYPE_F32) {
    return more;
  }
  return plus_dot(more, unpack_quad(DT_DTYPE, words, 1u), dt_low4(r + 4u));
}

// The chains of channel d that a lane has.
fn sum_dt_chains(place: u32, n: u32, d: u32, is_first: bool) {
  for (var chain = n; chain < dt_chains(); chain += SCAN_LANES) {
    var sum = 0.0;
    for (var chunk = chain; chunk < dt_chunks(); chunk += CHAINS) {
      var words = dt_words_first;
      if (!is_first || chunk != n) {
        words = load_dt(d, chunk);
      }
      sum = plus_dt(sum, words, chunk);
    }
    sums[place + chain] = sum;
  }
  // What more chains than eight are summed with.
  for (var chain = dt_chains() + n; dt_chains() > 8u && chain < CHAINS; chain += SCAN_LANES) {
    sums[place + chain] = 0.0;
  }
}

// Of the chains that dt_proj has.
fn sum_of_dt(place: u32) -> f32 {
  if (dt_chains() > 8u) {
    return sum_of_chains(place);
  }
  let sum = sum4(sums4(place));
  return select(sum, sum + sum4(sums4(place + 4u)), dt_chains() > 4u);
}

// Moves a lane's states of channel d on, and returns its sum over them.
fn scan_states(n: u32, d: u32, is_first: bool, dt: f32, dt_u: f32) -> f32 {
  var sum = 0.0;
  for (var i = 4u * n; i < D_STATE; i += 4u * STATE_SUMS) {
    var A_log = A_log_first;
    var h = h_first;
    if (!is_first || i != 4u * n) {
      A_log = load_A_log(d, i);
      h = load_states(d, i);
    }
    let none = vec4<f32>(0.0);
    let exists = exist(i);
    let B = select(none, x_dbl4(DT_RANK + i), exists);
    let C = select(none, x_dbl4(DT_RANK + D_STATE + i), exists);
    h = next_states(h, -exp(A_log), B, dt, dt_u);
    write_states(d, i, h);
    sum = plus_dot(sum, C, h);
  }
  return sum;
}

// What other workgroups post for the mixer.
fn gather(lane: u32) {
  for (var row = stage_lane(lane); row < X_ROWS; row += STAGE_LANES) {
    x_dbl[row] = posted(X_DBL, X_ROWS, mark, row);
  }
  workgroupBarrier();
  if (DT_BC_EPS > 0.0) {
    norm_x_dbl(lane);
  }
}

// dt_proj, recurrence, skip and gate of the own channels: see selective_scan_step.
fn mix(group: u32, lane: u32) {
  let channels = LANES / SCAN_LANES; // at once
  let n = lane % SCAN_LANES;
  let place = lane / SCAN_LANES * (CHAINS + 1u);
  for (var first = 0u; first < CHANNELS; first += channels) {
    let c = first + lane / SCAN_LANES;
    let d = group * CHANNELS + c;
    let is_own = c < CHANNELS && d < D_INNER;
    if (is_own) {
      sum_dt_chains(place, n, d, first == 0u);
    }
    workgroupBarrier();
    if (is_own && n < STATE_SUMS) {
      var bias = dt_bias_first;
      if (first > 0u) {
        bias = element(in_layer(AT_DT_BIAS), d);
      }
      let dt = softplus(sum_of_dt(place) + bias);
      sums[PART + lane / SCAN_LANES * STATE_SUMS + n] = scan_states(n, d, first == 0u, dt, dt * u[c]);
    }
    workgroupBarrier();
    let own = first + lane;
    if (lane < channels && own < own_count(group, CHANNELS, D_INNER)) {
      let sum = sum4(sums4(PART + lane * STATE_SUMS));
      let y = gated(sum, skip[own], u[own], z[own]);
      post(GATED, D_INNER, mark, group * CHANNELS + own, y);
    }
  }
}

@compute @workgroup_size(LANES)
fn step_mamba1(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  run_steps(wid.x, lane);
}
