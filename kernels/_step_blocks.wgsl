// _step_blocks: the walk through the blocks of whole steps, and conv1d: what mixers share. A block is in_proj, the
// mixer, and out_proj; x_proj is a product of its own. The kernel declares what _step_ends and _step_sample say, and
// conv_sums and conv_last (f32), N_LAYER, D_CONV, CONV_BIAS, CONV_AT, CARRIED, AT_CONV, AT_CONV_BIAS, AT_NORM,
// AT_IN_BIAS, AT_OUT_BIAS, BIAS, OUT_NORM and AT_OUT_NORM; PRODUCTS of a layer: in_proj, perhaps x_proj (X_EACH of
// X_ROWS rows a workgroup, AT_X, X_SOURCE, X_DBL), out_proj; and, for the layer that is computed:
//   product_of(part, group)   the products of each layer in turn, then the head
//   begin_mixer(group, lane)  what needs no other workgroup; before in_proj
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

// sum + four taps of a channel's window but the last one, moved by a step; their loads overlap.
fn plus_taps(sum: f32, d: u32, k: u32) -> f32 {
  let window = layer_state + CONV_AT + d * D_CONV + k;
  let tap = d * D_CONV + k;
  var values = vec4<f32>(0.0);
  var weights = vec4<f32>(0.0);
  for (var j = 0u; j < 4u; j++) {
    if (k + j + 1u < D_CONV) {
      values[j] = carried[window + j + 1u];
      weights[j] = element(in_layer(AT_CONV), tap + j);
    }
  }
  for (var j = 0u; j < 4u; j++) {
    if (k + j + 1u < D_CONV) {
      carried[window + j] = values[j];
    }
  }
  return plus_dot(sum, weights, values);
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

// Moves the window of channel d by a step, and leaves the sum of all but the newest input in slot c.
fn begin_conv(c: u32, d: u32) {
  let last = element(in_layer(AT_CONV), (d + 1u) * D_CONV - 1u);
  var sum = 0.0;
  if (CONV_BIAS) {
    sum = element(in_layer(AT_CONV_BIAS), d);
  }
  for (var k = 0u; k + 1u < D_CONV; k += 4u) {
    sum = plus_taps(sum, d, k);
  }
  conv_sums[c] = sum;
  conv_last[c] = last;
}

// conv1d and SiLU of channel d, whose newest input this is.
fn finish_conv(c: u32, d: u32, newest: f32) -> f32 {
  carried[layer_state + CONV_AT + (d + 1u) * D_CONV - 1u] = newest;
  return silu(fma(conv_last[c], newest, conv_sums[c]));
}

fn take(p: Product, group: u32, i: u32, sum: f32) {
  let row = global_row(p, i);
  if (p.kind == HEAD) {
    take_logit(row, sum);
  } else if (p.kind == X_PROJ) {
    post(X_DBL, X_ROWS, mark, row, sum);
  } else {
    let is_in = p.kind == IN_PROJ;
    var bias = 0.0;
    if (BIAS) {
      bias = element(in_layer(select(AT_OUT_BIAS, AT_IN_BIAS, is_in)), row);
    }
    var value = sum + bias;
    if (is_in || OUT_NORM) {
      value = fma(sum, norm_factor(select(1.0 / f32(D_INNER), 1.0 / f32(D_MODEL), is_in)), bias);
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

// What lanes of this workgroup posted is there before others of it look: that is all that a single one needs.
fn join() {
  if (GROUPS == 1u) {
    storageBarrier();
  }
  workgroupBarrier();
}

// A product with its input. What needs no other workgroup is loaded before that is waited for.
fn run_product(p: Product, part: u32, group: u32, lane: u32, step: u32) {
  let place = first_place(lane);
  let first = load_tile(p, place);
  let second = load_tile(p, place_after(p, lane, place));
  if (p.kind == IN_PROJ) {
    begin_mixer(group, lane);
  }
  let is_normed = p.kind == IN_PROJ || p.kind == HEAD || (p.kind == OUT_PROJ && OUT_NORM);
  let norm = norm_of(p.kind);
  var norm_first: vec4<u32>;
  if (is_normed && lane * 4u < p.columns) {
    norm_first = load(norm, lane);
  }
  let source = select(select(RESIDUAL, GATED, p.kind == OUT_PROJ), X_SOURCE, p.kind == X_PROJ);
  let source_mark = select(mark, mark - 1u, p.kind == IN_PROJ);
  join();
  stage(p, lane, source, source_mark, part == 0u, step, is_normed, norm, norm_first);
  if (POOL && p.kind == HEAD && group == 0u) {
    pool(p, lane);
  }
  product(p, group, lane, first, second);
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
      join();
      mix(group, lane);
    }
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
