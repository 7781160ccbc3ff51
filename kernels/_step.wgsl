// _step: what kernels of whole steps share: weights wherever they lie, and products of a workgroup's rows.
//   Most lanes multiply, product_lanes() of them; the last STAGE_LANES wait for what other workgroups post, lay it out
//   and finish sums. So nobody who waits has loads of weights under way, which a device may give him in order. A lane
//   has one chain (see _chains, which this goes after) of one row's sum, or of two. A tile is six chunks of these, all
//   on their way at once, and another is under way while one is used. The input lies in x, vec4 q of chunk c at
//   q * chunks + c, so that neighboring lanes read neighboring memory; the last vec4 of x is zero.
//   What is written out would be shorter with loops, which wait for each of their loads.
// The kernel declares weights_0, weights_1 and weights_2 (vec4<u32>), the workgroup memory x (vec4<f32>: X_VECS) and
// sums (f32: twice PART, then at SQUARES X_VECS and CHAINS), LANES, PART, SQUARES, X_VECS, W_DTYPE, EPS, ARENAS,
// LAYERS_0, LAYERS_1, FIRST_LAYER, LAYER_VECS, and take(p, group, row, sum).

struct Matrix {
  at: vec2<u32>, // which buffer, and the vec4 where it begins
  rows: u32,     // all of them: the scales of quantized ones follow
  columns: u32,
  dtype: u32,
}

// What a workgroup computes of x matrix^T; matrices of products have W_DTYPE.
struct Product {
  kind: u32,     // for take()
  at: vec2<u32>,
  all_rows: u32,
  columns: u32,
  chunks: u32,   // of a row
  rows: u32,     // that are the workgroup's
  split: u32,    // its row i is first_row + i before, from there on second_row + i, and from split_2 on third_row + i
  split_2: u32,
  first_row: u32,
  second_row: u32,
  third_row: u32,
}

fn global_row(p: Product, i: u32) -> u32 {
  return i + select(select(p.third_row, p.second_row, i < p.split_2), p.first_row, i < p.split);
}

// Three chunks of a row, and three of another, or the next three of the same; words with their scales.
struct Tile {
  a0: vec4<u32>,
  a1: vec4<u32>,
  a2: vec4<u32>,
  b0: vec4<u32>,
  b1: vec4<u32>,
  b2: vec4<u32>,
  scales_a: vec3<u32>,
  scales_b: vec3<u32>,
}

const TILE_CHUNKS = 3u;
const STAGE_LANES = 128u;

fn load(at: vec2<u32>, i: u32) -> vec4<u32> {
  if (ARENAS > 1u && at.x == 1u) {
    return weights_1[at.y + i];
  }
  if (ARENAS > 2u && at.x == 2u) {
    return weights_2[at.y + i];
  }
  return weights_0[at.y + i];
}

fn load_word(at: vec2<u32>, i: u32) -> u32 {
  if (ARENAS > 1u && at.x == 1u) {
    return weights_1[at.y + i / 4u][i % 4u];
  }
  if (ARENAS > 2u && at.x == 2u) {
    return weights_2[at.y + i / 4u][i % 4u];
  }
  return weights_0[at.y + i / 4u][i % 4u];
}

// Element i of a vector.
fn element(at: vec2<u32>, i: u32) -> f32 {
  return bitcast<f32>(load_word(at, i));
}

fn layer_at(layer: u32) -> vec2<u32> {
  let rest = layer - LAYERS_0;
  let other = vec2<u32>(1u + rest / LAYERS_1, rest % LAYERS_1 * LAYER_VECS);
  return select(other, vec2<u32>(0u, FIRST_LAYER + layer * LAYER_VECS), layer < LAYERS_0);
}

fn chunk_columns(dtype: u32) -> u32 {
  if (dtype == DTYPE_F32) {
    return 4u;
  }
  return select(select(8u, 16u, dtype == DTYPE_INT8), 32u, dtype == DTYPE_INT4);
}

// Chunks of a row, with the zeros that it is padded with.
fn row_chunks(columns: u32, dtype: u32) -> u32 {
  let step = select(8u, 32u, dtype >= DTYPE_INT8);
  return (columns + step - 1u) / step * step / chunk_columns(dtype);
}

// Scales of a row take a multiple of four words.
fn scale_words(columns: u32) -> u32 {
  let groups = (columns + QUANT_GROUP - 1u) / QUANT_GROUP;
  return (groups + 7u) / 8u * 4u;
}

// A scale of two in a word.
fn scale_of(word: u32, group: u32) -> f32 {
  return unpack2x16float(word)[group % 2u];
}

// What is loaded for four columns of a row.
struct Quad {
  words: vec4<u32>,
  scale: u32,
}

// Columns 4 quad to 4 quad + 3.
fn load_quad(m: Matrix, row: u32, quad: u32) -> Quad {
  let columns = chunk_columns(m.dtype);
  let chunk = quad * 4u / columns;
  let chunks = row_chunks(m.columns, m.dtype);
  var q = Quad(load(m.at, row * chunks + chunk), 0u);
  if (m.dtype >= DTYPE_INT8) {
    let scales = m.rows * chunks * 4u + row * scale_words(m.columns);
    q.scale = load_word(m.at, scales + quad * 4u / QUANT_GROUP / 2u);
  }
  return q;
}

// Before the scale.
fn unpack_quad(dtype: u32, words: vec4<u32>, quad: u32) -> vec4<f32> {
  if (dtype == DTYPE_F32) {
    return bitcast<vec4<f32>>(words);
  }
  if (dtype == DTYPE_INT8) {
    return unpack_int8(words[quad % 4u]);
  }
  if (dtype == DTYPE_INT4) {
    return unpack_int4(words[quad / 2u % 4u] >> (quad % 2u * 4u));
  }
  let half = select(words.xy, words.zw, quad % 2u == 1u);
  if (dtype == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

fn quad_at(m: Matrix, row: u32, quad: u32) -> vec4<f32> {
  let q = load_quad(m, row, quad);
  let values = unpack_quad(m.dtype, q.words, quad);
  if (m.dtype >= DTYPE_INT8) {
    return scale_of(q.scale, quad * 4u / QUANT_GROUP) * values;
  }
  return values;
}

// Where vec4 v of the input lies in x, and how many there are.
fn x_place(p: Product, v: u32) -> u32 {
  let quads = chunk_columns(W_DTYPE) / 4u;
  return v % quads * p.chunks + v / quads;
}

fn x_vecs(p: Product) -> u32 {
  return p.chunks * chunk_columns(W_DTYPE) / 4u;
}

fn product_lanes() -> u32 {
  return LANES - STAGE_LANES;
}

// Rows that lanes side by side have.
fn slots() -> u32 {
  return product_lanes() / CHAINS;
}

// Whether a lane has two rows: where there are as many.
fn is_paired(p: Product) -> bool {
  return p.rows > slots();
}

fn rows_at_once(p: Product) -> u32 {
  return select(slots(), 2u * slots(), is_paired(p));
}

fn chunks_at_once(p: Product) -> u32 {
  return select(2u * TILE_CHUNKS * CHAINS, TILE_CHUNKS * CHAINS, is_paired(p));
}

// A lane's first row of the workgroup's, and its first chunk.
fn first_place(lane: u32) -> vec2<u32> {
  return vec2<u32>(lane / CHAINS, lane % CHAINS);
}

// The tile beside it, or the first one of the next rows.
fn place_after(p: Product, lane: u32, place: vec2<u32>) -> vec2<u32> {
  let chunk = place.y + chunks_at_once(p);
  let next_rows = vec2<u32>(place.x + rows_at_once(p), lane % CHAINS);
  return select(next_rows, vec2<u32>(place.x, chunk), chunk - lane % CHAINS < p.chunks);
}

// The words with the scales of three chunks of a row.
fn load_scales(p: Product, row: u32, chunks: vec3<u32>) -> vec3<u32> {
  let start = p.all_rows * p.chunks * 4u + row * scale_words(p.columns);
  let words = chunks * chunk_columns(W_DTYPE) / QUANT_GROUP / 2u;
  return vec3<u32>(
    load_word(p.at, start + words.x), load_word(p.at, start + words.y), load_word(p.at, start + words.z));
}

// All its loads are on their way at once. Chunks beyond the end of a row are its last one, which meets the zero of x.
fn load_tile(p: Product, place: vec2<u32>) -> Tile {
  var tile: Tile;
  let last = vec3<u32>(p.chunks - 1u);
  let chunks = place.y + vec3<u32>(0u, CHAINS, 2u * CHAINS);
  if (place.x < p.rows) {
    let row = global_row(p, place.x);
    let own = min(chunks, last);
    let at = row * p.chunks + own;
    tile.a0 = load(p.at, at.x);
    tile.a1 = load(p.at, at.y);
    tile.a2 = load(p.at, at.z);
    if (W_DTYPE >= DTYPE_INT8) {
      tile.scales_a = load_scales(p, row, own);
    }
  }
  let i = select(place.x, place.x + slots(), is_paired(p));
  if (i < p.rows) {
    let row = global_row(p, i);
    let own = min(select(chunks + TILE_CHUNKS * CHAINS, chunks, is_paired(p)), last);
    let at = row * p.chunks + own;
    tile.b0 = load(p.at, at.x);
    tile.b1 = load(p.at, at.y);
    tile.b2 = load(p.at, at.z);
    if (W_DTYPE >= DTYPE_INT8) {
      tile.scales_b = load_scales(p, row, own);
    }
  }
  return tile;
}

// Where a chunk's input lies, and how far its vec4s are apart; beyond the end of a row, it is the zero.
fn x_of(p: Product, chunk: u32) -> vec2<u32> {
  return select(vec2<u32>(X_VECS - 1u, 0u), vec2<u32>(chunk, p.chunks), chunk < p.chunks);
}

// What four columns of each of two rows add to their sums.
fn plus_quads(sums: vec2<f32>, v: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec2<f32> {
  return vec2<f32>(plus_dot(sums.x, v, a), plus_dot(sums.y, v, b));
}

fn plus_halves(sums: vec2<f32>, v: vec4<f32>, a: vec2<u32>, b: vec2<u32>) -> vec2<f32> {
  if (W_DTYPE == DTYPE_F16) {
    return plus_quads(sums, v, unpack_f16(a), unpack_f16(b));
  }
  return plus_quads(sums, v, unpack_bf16(a), unpack_bf16(b));
}

fn plus_int8(sums: vec2<f32>, v: vec4<f32>, a: u32, b: u32) -> vec2<f32> {
  return plus_quads(sums, v, unpack_int8(a), unpack_int8(b));
}

// Eight columns, whose input is at i and i + step.
fn plus_int4(sums: vec2<f32>, i: u32, step: u32, a: u32, b: u32) -> vec2<f32> {
  let low = plus_quads(sums, x[i], unpack_int4(a), unpack_int4(b));
  return plus_quads(low, x[i + step], unpack_int4(a >> 4u), unpack_int4(b >> 4u));
}

// What one chunk of each of two rows adds to their chains.
fn plus_chunks(sums: vec2<f32>, p: Product, chunk: u32, a: vec4<u32>, b: vec4<u32>, scales: vec2<u32>) -> vec2<f32> {
  let place = x_of(p, chunk);
  let i = place.x;
  let step = place.y;
  if (W_DTYPE == DTYPE_F32) {
    return plus_quads(sums, x[i], bitcast<vec4<f32>>(a), bitcast<vec4<f32>>(b));
  }
  if (W_DTYPE <= DTYPE_BF16) {
    return plus_halves(plus_halves(sums, x[i], a.xy, b.xy), x[i + step], a.zw, b.zw);
  }
  let group = min(chunk, p.chunks - 1u) * chunk_columns(W_DTYPE) / QUANT_GROUP;
  let scale = vec2<f32>(scale_of(scales.x, group), scale_of(scales.y, group));
  var part = vec2<f32>(0.0);
  if (W_DTYPE == DTYPE_INT8) {
    part = plus_int8(part, x[i], a.x, b.x);
    part = plus_int8(part, x[i + step], a.y, b.y);
    part = plus_int8(part, x[i + 2u * step], a.z, b.z);
    part = plus_int8(part, x[i + 3u * step], a.w, b.w);
  } else {
    part = plus_int4(part, i, step, a.x, b.x);
    part = plus_int4(part, i + 2u * step, step, a.y, b.y);
    part = plus_int4(part, i + 4u * step, step, a.z, b.z);
    part = plus_int4(part, i + 6u * step, step, a.w, b.w);
  }
  return fma(scale, part, sums);
}

// The same of one row.
fn plus_chunk(sum: f32, p: Product, chunk: u32, a: vec4<u32>, scale: u32) -> f32 {
  return plus_chunks(vec2<f32>(sum, 0.0), p, chunk, a, vec4<u32>(0u), vec2<u32>(scale, 0u)).x;
}

// What a tile adds to a lane's one or two chains.
fn plus_tile(sums: vec2<f32>, p: Product, chunk: u32, t: Tile) -> vec2<f32> {
  if (is_paired(p)) {
    var both = plus_chunks(sums, p, chunk, t.a0, t.b0, vec2<u32>(t.scales_a.x, t.scales_b.x));
    both = plus_chunks(both, p, chunk + CHAINS, t.a1, t.b1, vec2<u32>(t.scales_a.y, t.scales_b.y));
    return plus_chunks(both, p, chunk + 2u * CHAINS, t.a2, t.b2, vec2<u32>(t.scales_a.z, t.scales_b.z));
  }
  var sum = plus_chunk(sums.x, p, chunk, t.a0, t.scales_a.x);
  sum = plus_chunk(sum, p, chunk + CHAINS, t.a1, t.scales_a.y);
  sum = plus_chunk(sum, p, chunk + 2u * CHAINS, t.a2, t.scales_a.z);
  sum = plus_chunk(sum, p, chunk + 3u * CHAINS, t.b0, t.scales_b.x);
  sum = plus_chunk(sum, p, chunk + 4u * CHAINS, t.b1, t.scales_b.y);
  sum = plus_chunk(sum, p, chunk + 5u * CHAINS, t.b2, t.scales_b.z);
  return vec2<f32>(sum, 0.0);
}

fn sums4(i: u32) -> vec4<f32> {
  return vec4<f32>(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

// Of all chains. Written out, as loops wait for each load.
fn sum_of_chains(i: u32) -> f32 {
  let a = sums4(i);
  let b = sums4(i + 4u);
  let c = sums4(i + 8u);
  let d = sums4(i + 12u);
  let e = sums4(i + 16u);
  let f = sums4(i + 20u);
  let g = sums4(i + 24u);
  let h = sums4(i + 28u);
  return ((((((sum4(a) + sum4(b)) + sum4(c)) + sum4(d)) + sum4(e)) + sum4(f)) + sum4(g)) + sum4(h);
}

// A lane's number among those that stage, and very much of the others.
fn stage_lane(lane: u32) -> u32 {
  return lane - product_lanes();
}

// Computes all own rows; take() has been called for each by a lane when the workgroup meets next.
fn product(p: Product, group: u32, lane: u32, first: Tile) {
  let at_once = rows_at_once(p);
  var tile = first;
  var place = first_place(lane);
  for (var start = 0u; start < p.rows; start += at_once) {
    // In turns in either half, so that one meeting is enough.
    let half = start / at_once % 2u * PART;
    if (lane < product_lanes()) {
      var sums_own = vec2<f32>(0.0);
      for (var chunk = lane % CHAINS; chunk - lane % CHAINS < p.chunks; chunk += chunks_at_once(p)) {
        place = place_after(p, lane, place);
        let next = load_tile(p, place);
        sums_own = plus_tile(sums_own, p, chunk, tile);
        tile = next;
      }
      let own = half + lane / CHAINS * (CHAINS + 1u) + lane % CHAINS;
      sums[own] = sums_own.x;
      if (is_paired(p)) {
        sums[own + slots() * (CHAINS + 1u)] = sums_own.y;
      }
    }
    workgroupBarrier();
    let i = stage_lane(lane);
    if (i < at_once && start + i < p.rows) {
      take(p, group, start + i, sum_of_chains(half + i * (CHAINS + 1u)));
    }
  }
}

// Squares of a chain, zero past the last one.
fn square4(p: Product, v: u32) -> vec4<f32> {
  let places = v + vec4<u32>(0u, CHAINS, 2u * CHAINS, 3u * CHAINS);
  let exist = places < vec4<u32>(x_vecs(p));
  let own = SQUARES + select(vec4<u32>(0u), places, exist);
  return select(vec4<f32>(0.0), vec4<f32>(sums[own.x], sums[own.y], sums[own.z], sums[own.w]), exist);
}

// From the squares of the fours of x in sums, from SQUARES on, those of their chains, which are there when the
// workgroup meets next.
fn sum_squares(p: Product, lane: u32) {
  let chain = stage_lane(lane);
  if (chain < CHAINS) {
    var sum = 0.0;
    for (var v = chain; v < x_vecs(p); v += 8u * CHAINS) {
      let a = square4(p, v);
      let b = square4(p, v + 4u * CHAINS);
      sum = (((sum + a.x) + a.y) + a.z) + a.w;
      sum = (((sum + b.x) + b.y) + b.z) + b.w;
    }
    sums[SQUARES + X_VECS + chain] = sum;
  }
}

// What x is to be multiplied with for its norm.
fn norm_factor(inverse_columns: f32) -> f32 {
  return inverseSqrt(fma(sum_of_chains(SQUARES + X_VECS), inverse_columns, EPS));
}
