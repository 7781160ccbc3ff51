// _step_blocks: the walk through the blocks of whole steps, and conv1d: what mixers share. A block is in_proj, the
// mixer, and out_proj; x_proj is a product of its own. The kernel declares what _step_ends and _step_sample say, and
// conv_sums and conv_last (f32), N_LAYER, D_CONV, CONV_BIAS, CONV_AT, CARRIED, AT_CONV, AT_CONV_BIAS, AT_NORM,
// AT_IN_BIAS, AT_OUT_BIAS, BIAS, OUT_NORM, AT_OUT_NORM, D_STATE, SSM_AT and CHANNEL_SLOTS; PRODUCTS of a layer:
// in_proj (IN_MOST of IN_ROWS rows a workgroup), perhaps x_proj (X_EACH of X_ROWS, AT_X, X_SOURCE, X_DBL), out_proj;
// for each of them and the head IN_LANE_ROWS and IN_TURNS, and so on; and, for the layer that is computed:
//   product_of(kind, index, group)  of any layer
//   load_channel(group, c)    loads what in_proj's results meet; before it waits
//   begin_channel(group, c)   lays it out
//   load_mixer(group, lane)   loads what mix() needs, before it waits
//   gather(lane)              waits for what mix() needs of others
//   mix(group, lane)          posts the input of out_proj
//   take_in_proj(group, i, value)

// Of the layer that is computed: where its weights begin, and its state.
var<private> layer: vec2<u32>;
var<private> layer_state: u32;

fn in_layer(at: u32) -> vec2<u32> {
  return vec2<u32>(layer.x, layer.y + at);
}

fn enter_layer(index: u32) {
  layer = layer_at(index);
  layer_state = index * CARRIED;
}

// What conv1d of a channel needs beside its newest input.
struct Taps {
  values: vec4<f32>,  // four of its window, moved by a step
  weights: vec4<f32>,
}

// Of the window but the last one, from k on; their loads overlap.
fn load_taps(d: u32, k: u32) -> Taps {
  let window = layer_state + CONV_AT + d * D_CONV + k;
  let tap = d * D_CONV + k;
  let exist = vec4<u32>(k + 1u, k + 2u, k + 3u, k + 4u) < vec4<u32>(D_CONV);
  let steps = select(vec4<u32>(0u), vec4<u32>(0u, 1u, 2u, 3u), exist);
  let at = in_layer(AT_CONV);
  let values = vec4<f32>(carried[window + 1u + steps.x], carried[window + 1u + steps.y],
                         carried[window + 1u + steps.z], carried[window + 1u + steps.w]);
  let weights = vec4<f32>(element(at, tap + steps.x), element(at, tap + steps.y),
                          element(at, tap + steps.z), element(at, tap + steps.w));
  let none = vec4<f32>(0.0);
  return Taps(select(none, values, exist), select(none, weights, exist));
}

// The first of them, and the rest of what a lane needs for the first channel that it sees to.
var<private> taps_first: Taps;
var<private> conv_last_first: f32;
var<private> conv_bias_first: f32;
var<private> skip_first: f32;

fn load_conv(d: u32) {
  taps_first = load_taps(d, 0u);
  conv_last_first = element(in_layer(AT_CONV), (d + 1u) * D_CONV - 1u);
  if (CONV_BIAS) {
    conv_bias_first = element(in_layer(AT_CONV_BIAS), d);
  }
}

// The shape of a product; rows and place are missing.
fn shape_of(kind: u32) -> Product {
  var p: Product;
  p.kind = kind;
  if (kind == IN_PROJ) {
    p.all_rows = IN_ROWS;
    p.most = IN_MOST;
    p.each = IN_LANE_ROWS;
    p.turns = IN_TURNS;
  } else if (kind == X_PROJ) {
    p.all_rows = X_ROWS;
    p.most = X_EACH;
    p.each = X_LANE_ROWS;
    p.turns = X_TURNS;
  } else if (kind == OUT_PROJ) {
    p.all_rows = D_MODEL;
    p.most = OUT_ROWS;
    p.each = OUT_LANE_ROWS;
    p.turns = OUT_TURNS;
  } else {
    p.all_rows = LOGITS;
    p.most = HEAD_ROWS;
    p.each = HEAD_LANE_ROWS;
    p.turns = HEAD_TURNS;
  }
  p.columns = select(D_MODEL, D_INNER, kind == X_PROJ || kind == OUT_PROJ);
  p.chunks = row_chunks(p.columns, W_DTYPE);
  return p;
}

// A product whose rows follow each other.
fn plain_product(kind: u32, index: u32, group: u32) -> Product {
  var p = shape_of(kind);
  p.at = layer_at(index) + vec2<u32>(0u, select(AT_OUT, AT_X, kind == X_PROJ));
  if (kind == HEAD) {
    p.at = vec2<u32>(0u, AT_HEAD);
  }
  p.rows = own_count(group, p.most, p.all_rows);
  p.split = p.rows;
  p.split_2 = p.rows;
  p.first_row = group * p.most;
  return p;
}

// Moves the window of channel d by a step, and leaves the sum of all but the newest input in slot c. It was loaded.
fn begin_conv(c: u32, d: u32) {
  var sum = conv_bias_first;
  var taps = taps_first;
  for (var k = 0u; k + 1u < D_CONV; k += 4u) {
    if (k > 0u) {
      taps = load_taps(d, k);
    }
    let window = layer_state + CONV_AT + d * D_CONV + k;
    carried[window] = taps.values.x;
    if (k + 2u < D_CONV) {
      carried[window + 1u] = taps.values.y;
    }
    if (k + 3u < D_CONV) {
      carried[window + 2u] = taps.values.z;
    }
    if (k + 4u < D_CONV) {
      carried[window + 3u] = taps.values.w;
    }
    sum = plus_dot(sum, taps.weights, taps.values);
  }
  conv_sums[c] = sum;
  conv_last[c] = conv_last_first;
}

// conv1d and SiLU of channel d, whose newest input this is.
fn finish_conv(c: u32, d: u32, newest: f32) -> f32 {
  carried[layer_state + CONV_AT + (d + 1u) * D_CONV - 1u] = newest;
  return silu(fma(conv_last[c], newest, conv_sums[c]));
}

// Of the states n to n + 3, those that there are.
fn exist(n: u32) -> vec4<bool> {
  return vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(D_STATE);
}

fn state_at(d: u32, n: u32) -> u32 {
  return layer_state + SSM_AT + d * D_STATE + n;
}

// Four states, zero past the last one.
fn load_states(d: u32, n: u32) -> vec4<f32> {
  let at = state_at(d, min(n, D_STATE - 1u));
  let values = vec4<f32>(carried[at], carried[at + 1u], carried[at + 2u], carried[at + 3u]);
  return select(vec4<f32>(0.0), values, exist(n));
}

fn write_states(d: u32, n: u32, h: vec4<f32>) {
  let at = state_at(d, n);
  carried[at] = h.x;
  if (n + 1u < D_STATE) {
    carried[at + 1u] = h.y;
  }
  if (n + 2u < D_STATE) {
    carried[at + 2u] = h.z;
  }
  if (n + 3u < D_STATE) {
    carried[at + 3u] = h.w;
  }
}

fn take(p: Product, group: u32, i: u32, sum: f32) {
  let row = global_row(p, i);
  if (p.kind == HEAD) {
    take_logit(row, sum);
  } else if (p.kind == X_PROJ) {
    post(X_DBL, X_ROWS, mark, row, sum);
  } else {
    let is_in = p.kind == IN_PROJ;
    var more = 0.0;
    if (BIAS) {
      more = element(in_layer(select(AT_OUT_BIAS, AT_IN_BIAS, is_in)), row);
    }
    if (!is_in) {
      more += own_residual[i];
    }
    var value = sum + more;
    if (is_in || OUT_NORM) {
      value = fma(sum, norm_factor(select(1.0 / f32(D_INNER), 1.0 / f32(D_MODEL), is_in)), more);
    }
    if (is_in) {
      take_in_proj(group, i, value);
    } else {
      take_residual(group, i, value);
    }
  }
}

// Lanes that look for what others of this workgroup post do not wait for these: they finished the sums before, and what
// they are about to write is read after the next meeting of all lanes. But a single workgroup may have lanes in turn.
fn join() {
  if (GROUPS == 1u) {
    storageBarrier();
    workgroupBarrier();
  }
}

// The weights of the norm before a product, of the first three vec4s of x that a lane lays out.
struct NormWeights {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
}

fn load_norm(at: vec2<u32>, columns: u32, lane: u32) -> NormWeights {
  let v = stage_lane(lane);
  return NormWeights(load_norm4(at, columns, v), load_norm4(at, columns, v + STAGE_LANES),
                     load_norm4(at, columns, v + 2u * STAGE_LANES));
}

// One step, up to the logits. The input is token, or row `step` of the request's. What needs no other workgroup is
// loaded before that is waited for, and what is read of memory is touched a wait earlier.
fn run(group: u32, lane: u32, step: u32) {
  begin_residual(group, lane, step);
  mark = step * N_LAYER;
  enter_layer(0u);
  var norm = load_norm(in_layer(AT_NORM), D_MODEL, lane);
  for (var index = 0u; index < N_LAYER; index++) {
    enter_layer(index);
    mark += 1u;
    let p_x = product_of(X_PROJ, index, group);
    let p_out = product_of(OUT_PROJ, index, group);
    let next = min(index + 1u, N_LAYER - 1u);
    run_in(product_of(IN_PROJ, index, group), p_x, p_out, index, group, lane, step, norm);
    if (PRODUCTS == 3u && p_x.rows > 0u) {
      run_x(p_x, group, lane);
    }
    load_mixer(group, lane);
    touch(product_of(IN_PROJ, next, group), lane);
    join();
    gather(lane);
    mix(group, lane);
    norm = load_norm(layer_at(next) + vec2<u32>(0u, AT_NORM), D_MODEL, lane);
    run_out(p_out, group, lane);
  }
  run_head(product_of(HEAD, 0u, group), group, lane);
  // Never: but a compiler does not know that.
  if (all(all_touched == vec4<u32>(1u)) && patience == 0xffffffffu) {
    atomicStore(&exchange[TIMED_OUT], 1u);
  }
  // What a lane left in the state or in the logits may be another's from here on.
  storageBarrier();
}

// in_proj and conv1d. The first lanes see to the channels.
fn run_in(
  p: Product, p_x: Product, p_out: Product, index: u32, group: u32, lane: u32, step: u32, weights: NormWeights,
) {
  let tile = load_tile(p, lane, 0u, 0u);
  if (lane < product_lanes()) {
    load_channel(group, lane);
    touch(p_out, lane);
    if (PRODUCTS == 3u) {
      touch_few(p_x, lane);
    }
    begin_channel(group, lane);
    for (var c = lane + product_lanes(); c < CHANNEL_SLOTS; c += product_lanes()) {
      load_channel(group, c);
      begin_channel(group, c);
    }
  }
  join();
  if (index == 0u) {
    stage_input(p, lane, step, in_layer(AT_NORM));
  } else {
    stage(p, lane, RESIDUAL, mark - 1u, true, in_layer(AT_NORM), weights);
  }
  product(p, group, lane, tile);
}

fn run_x(p: Product, group: u32, lane: u32) {
  let tile = load_tile(p, lane, 0u, 0u);
  var none: NormWeights;
  join();
  stage(p, lane, X_SOURCE, mark, false, vec2<u32>(0u), none);
  product(p, group, lane, tile);
}

fn run_out(p: Product, group: u32, lane: u32) {
  let tile = load_tile(p, lane, 0u, 0u);
  let norm = in_layer(AT_OUT_NORM);
  var weights: NormWeights;
  if (OUT_NORM) {
    weights = load_norm(norm, D_INNER, lane);
  }
  join();
  stage(p, lane, GATED, mark, OUT_NORM, norm, weights);
  product(p, group, lane, tile);
}

fn run_head(p: Product, group: u32, lane: u32) {
  let tile = load_tile(p, lane, 0u, 0u);
  let norm = vec2<u32>(0u, AT_NORM_F);
  let weights = load_norm(norm, D_MODEL, lane);
  join();
  stage(p, lane, RESIDUAL, mark, true, norm, weights);
  if (POOL && group == 0u) {
    pool(p, lane);
  }
  product(p, group, lane, tile);
}

// All that a dispatch is asked for.
fn run_steps(group: u32, lane: u32) {
  patience = request[PATIENCE];
  let draws = atomicLoad(&session[DRAWS_AT]);
  if (lane == 0u) {
    token = atomicLoad(&session[TOKENS_AT]);
  }
  workgroupBarrier();
  // All have read what one of them may change before any goes on.
  meet(lane);
  for (var step = 0u; step < request[STEPS]; step++) {
    if (step > 0u || request[CONSUME_FIRST] == 1u) {
      run(group, lane, step);
      if (!SHARED && request[DRAW] == 1u) {
        meet(lane);
      }
    }
    if (request[DRAW] == 1u) {
      sample(group, lane, draws + step);
    }
  }
}
