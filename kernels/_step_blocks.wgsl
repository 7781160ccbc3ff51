// _step_blocks: the walk through the blocks of whole steps, and conv1d: what mixers share. A block is in_proj, the
// mixer, and out_proj; x_proj is a product of its own. The kernel declares what _step_ends and _step_sample say, and
// conv_sums and conv_last (f32), N_LAYER, D_CONV, CONV_BIAS, CONV_AT, CARRIED, AT_CONV, AT_CONV_BIAS, AT_NORM,
// AT_IN_BIAS, AT_OUT_BIAS, BIAS, OUT_NORM, AT_OUT_NORM, D_STATE, SSM_AT and CHANNEL_SLOTS; PRODUCTS of a layer:
// in_proj, perhaps x_proj (X_EACH of X_ROWS rows a workgroup, AT_X, X_SOURCE, X_DBL), out_proj; and, for the layer that
// is computed:
//   product_of(part, group)   the products of each layer in turn, then the head
//   load_channel(group, c)    loads what in_proj's results meet; before it waits
//   begin_channel(group, c)   lays it out
//   load_mixer(group, lane)   loads what mix() needs, before it waits
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

// A product of the walk: in_proj, of which the rows are told (the workgroup's, split and split_2; then where each part
// begins), x_proj, out_proj or the head. Values are chosen one by one, so that they stay in registers.
fn part_of(part: u32, group: u32, in_rows: u32, counts: vec3<u32>, starts: vec3<u32>) -> Product {
  let is_head = part == PRODUCTS * N_LAYER;
  let is_in = part % PRODUCTS == 0u && !is_head;
  let is_x = PRODUCTS == 3u && part % PRODUCTS == 1u;
  let is_wide = !is_in && !is_head;
  let each = select(select(OUT_ROWS, X_EACH, is_x), HEAD_ROWS, is_head);
  let all = select(select(select(D_MODEL, X_ROWS, is_x), LOGITS, is_head), in_rows, is_in);
  let own = select(vec3<u32>(own_count(group, each, all)), counts, is_in);
  let begin = select(vec3<u32>(group * each, 0u, 0u), starts, is_in);
  let place = select(select(AT_OUT, AT_X, is_x), AT_IN, is_in);
  let at = layer_at(min(part / PRODUCTS, N_LAYER - 1u)) + vec2<u32>(0u, place);
  return Product(
    select(select(select(OUT_PROJ, X_PROJ, is_x), HEAD, is_head), IN_PROJ, is_in),
    select(at, vec2<u32>(0u, AT_HEAD), is_head),
    all,
    select(D_MODEL, D_INNER, is_wide),
    select(row_chunks(D_MODEL, W_DTYPE), row_chunks(D_INNER, W_DTYPE), is_wide),
    own.x, own.y, own.z, begin.x, begin.y, begin.z);
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

// The weight of the norm before a product.
fn norm_of(kind: u32) -> vec2<u32> {
  if (kind == HEAD) {
    return vec2<u32>(0u, AT_NORM_F);
  }
  return in_layer(select(AT_OUT_NORM, AT_NORM, kind == IN_PROJ));
}

// Lanes that look for what others of this workgroup post do not wait for these: they finished the sums before, and what
// they are about to write is read after the next meeting of all lanes. But a single workgroup may have lanes in turn.
fn join() {
  if (GROUPS == 1u) {
    storageBarrier();
    workgroupBarrier();
  }
}

// Words of rows that are multiplied later: by then they are in a cache. They are taken note of when the next ones are
// touched.
var<private> touched_a: vec4<u32>;
var<private> touched_b: vec4<u32>;
var<private> all_touched: vec4<u32>;

// A word of every 32 bytes of some rows, up to four a lane.
fn touch(at: vec2<u32>, chunks: u32, first_row: u32, rows: u32, lane: u32) -> vec4<u32> {
  let start = first_row * chunks;
  let last = max(start + rows * chunks, 1u) - 1u;
  let i = start + 2u * lane;
  let step = 2u * product_lanes();
  return vec4<u32>(load_word(at, 4u * min(i, last)), load_word(at, 4u * min(i + step, last)),
                   load_word(at, 4u * min(i + 2u * step, last)), load_word(at, 4u * min(i + 3u * step, last)));
}

// The rows of a later product.
fn touch_product(part: u32, group: u32, lane: u32) {
  if (part <= PRODUCTS * N_LAYER && lane < product_lanes()) {
    let p = product_of(part, group);
    all_touched ^= touched_a ^ touched_b;
    touched_a = touch(p.at, p.chunks, p.first_row, min(p.split, p.rows), lane);
    touched_b = touch(p.at, p.chunks, global_row(p, p.split), p.rows - min(p.split, p.rows), lane);
  }
}

// A product with its input. What needs no other workgroup is loaded before that is waited for.
fn run_product(p: Product, part: u32, group: u32, lane: u32, step: u32) {
  // The first lanes see to the channels.
  var first: Tile;
  if (lane < product_lanes()) {
    first = load_tile(p, first_place(lane));
    if (p.kind == IN_PROJ) {
      load_channel(group, lane);
      touch_product(part + PRODUCTS - 1u, group, lane);
    }
  }
  let is_normed = p.kind == IN_PROJ || p.kind == HEAD || (p.kind == OUT_PROJ && OUT_NORM);
  let norm = norm_of(p.kind);
  var norm_first: vec4<u32>;
  if (is_normed && stage_lane(lane) * 4u < p.columns) {
    norm_first = load(norm, stage_lane(lane));
  }
  let source = select(select(RESIDUAL, GATED, p.kind == OUT_PROJ), X_SOURCE, p.kind == X_PROJ);
  let source_mark = select(mark, mark - 1u, p.kind == IN_PROJ);
  join();
  stage(p, lane, source, source_mark, part == 0u, step, is_normed, norm, norm_first);
  if (POOL && p.kind == HEAD && group == 0u) {
    pool(p, lane);
  }
  if (p.kind == IN_PROJ && lane < product_lanes()) {
    begin_channel(group, lane);
    for (var c = lane + product_lanes(); c < CHANNEL_SLOTS; c += product_lanes()) {
      load_channel(group, c);
      begin_channel(group, c);
    }
  }
  product(p, group, lane, first);
}

// One step, up to the logits. The input is token, or row `step` of the request's.
fn run(group: u32, lane: u32, step: u32) {
  enter_layer(0u);
  begin_residual(group, lane, step);
  mark = step * N_LAYER;
  for (var part = 0u; part < PRODUCTS * N_LAYER + 1u; part++) {
    let p = product_of(part, group);
    if (p.kind == IN_PROJ) {
      enter_layer(part / PRODUCTS);
      mark += 1u;
    }
    if (p.rows > 0u || p.kind != X_PROJ) {
      run_product(p, part, group, lane, step);
    }
    if (p.kind == select(IN_PROJ, X_PROJ, PRODUCTS == 3u)) {
      load_mixer(group, lane);
      touch_product(part + 2u, group, lane);
      join();
      mix(group, lane);
    }
  }
  // Never: but a compiler does not know that.
  if (all(all_touched == vec4<u32>(1u)) && patience == 0xffffffffu) {
    atomicStore(&exchange[TIMED_OUT], 1u);
  }
  // What a lane left in the state or in the logits may be another's from here on.
  storageBarrier();
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
