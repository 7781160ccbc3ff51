// _step: what kernels of whole steps share: weights wherever they lie, and products of a workgroup's own rows.
//   A matrix is read in chunks of 16 bytes, of 4 to 32 columns. Lanes that share a row take chunks side by side; a tile
//   is 8 chunks of a lane, all on their way at once, and the next two tiles are under way while one is used. The input
//   lies in x, vec4 q of chunk c at q * stride + c, so that neighboring lanes read neighboring memory.
// The kernel declares weights_0, weights_1 and weights_2 (vec4<u32>), the workgroup memory x (vec4<f32>) and sums (f32:
// twice PART, then at SQUARES LANES and 32), LANES, PART, SQUARES, ARENAS, LAYERS_0, LAYERS_1, FIRST_LAYER, LAYER_VECS, row_of(kind, group, row) and
// take(kind, group, row, value).

struct Matrix {
  at: vec2<u32>, // which buffer, and the vec4 where it begins
  rows: u32,     // all of them: the scales of quantized ones follow
  columns: u32,
  dtype: u32,
}

// What a workgroup computes of x matrix^T.
struct Product {
  kind: u32,   // for row_of() and take()
  matrix: Matrix,
  rows: u32,   // that are its own
  lanes: u32,  // that share a row, a multiple of 32
  each: u32,   // rows that a lane takes at once: 1, 2 or 4
}

struct Tile {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>,
  e: vec4<u32>,
  f: vec4<u32>,
  g: vec4<u32>,
  h: vec4<u32>,
  scales_low: vec4<u32>,  // words with the scales of a to d
  scales_high: vec4<u32>, // of e to h
}

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
  if (layer < LAYERS_0) {
    return vec2<u32>(0u, FIRST_LAYER + layer * LAYER_VECS);
  }
  let rest = layer - LAYERS_0;
  return vec2<u32>(1u + rest / LAYERS_1, rest % LAYERS_1 * LAYER_VECS);
}

fn chunk_columns(dtype: u32) -> u32 {
  if (dtype == DTYPE_F32) {
    return 4u;
  }
  return select(select(8u, 16u, dtype == DTYPE_INT8), 32u, dtype == DTYPE_INT4);
}

// Chunks of a row, with the zeros that it is padded with.
fn row_chunks(m: Matrix) -> u32 {
  let columns = chunk_columns(m.dtype);
  let step = select(8u, 32u, m.dtype >= DTYPE_INT8);
  return (m.columns + step - 1u) / step * step / columns;
}

// The word that holds the scale of a chunk.
fn chunk_scale(m: Matrix, row: u32, chunk: u32) -> u32 {
  let group = chunk * chunk_columns(m.dtype) / QUANT_GROUP;
  let groups = (m.columns + QUANT_GROUP - 1u) / QUANT_GROUP;
  return load_word(m.at, (m.rows * row_chunks(m) + row * ((groups + 7u) / 8u)) * 4u + group / 2u);
}

fn scale_of(m: Matrix, word: u32, chunk: u32) -> f32 {
  let group = chunk * chunk_columns(m.dtype) / QUANT_GROUP;
  return unpack2x16float(word)[group % 2u];
}

// Four columns of a row, from 4 quad on.
fn quad_at(m: Matrix, row: u32, quad: u32) -> vec4<f32> {
  let start = row * row_chunks(m);
  if (m.dtype == DTYPE_F32) {
    return bitcast<vec4<f32>>(load(m.at, start + quad));
  }
  if (m.dtype == DTYPE_INT8) {
    let scale = scale_of(m, chunk_scale(m, row, quad / 4u), quad / 4u);
    return scale * unpack_int8(load_word(m.at, start * 4u + quad));
  }
  if (m.dtype == DTYPE_INT4) {
    let scale = scale_of(m, chunk_scale(m, row, quad / 8u), quad / 8u);
    return scale * unpack_int4(load_word(m.at, start * 4u + quad / 2u) >> (quad % 2u * 4u));
  }
  let words = load(m.at, start + quad / 2u);
  let half = select(words.xy, words.zw, quad % 2u == 1u);
  if (m.dtype == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

// Where vec4 v of the input lies in x.
fn x_place(m: Matrix, v: u32) -> u32 {
  let quads = chunk_columns(m.dtype) / 4u;
  return v % quads * row_chunks(m) + v / quads;
}

fn x_vecs(m: Matrix) -> u32 {
  return row_chunks(m) * chunk_columns(m.dtype) / 4u;
}

fn slots(p: Product) -> u32 {
  return LANES / p.lanes;
}

// Tiles that lanes take to come across a row.
fn tiles_across(p: Product) -> u32 {
  let rounds = (row_chunks(p.matrix) + p.lanes - 1u) / p.lanes;
  return (rounds * p.each + 7u) / 8u;
}

// Which own row and which chunk element e of a lane's tile is.
fn tile_place(p: Product, lane: u32, tile: u32, e: u32) -> vec2<u32> {
  let across = tiles_across(p);
  let row = (tile / across * p.each + e % p.each) * slots(p) + lane / p.lanes;
  return vec2<u32>(row, (tile % across * (8u / p.each) + e / p.each) * p.lanes + lane % p.lanes);
}

fn tile_words(p: Product, group: u32, lane: u32, tile: u32, e: u32) -> vec4<u32> {
  let place = tile_place(p, lane, tile, e);
  if (place.x < p.rows && place.y < row_chunks(p.matrix)) {
    return load(p.matrix.at, row_of(p.kind, group, place.x) * row_chunks(p.matrix) + place.y);
  }
  return vec4<u32>(0u);
}

fn tile_scale(p: Product, group: u32, lane: u32, tile: u32, e: u32) -> u32 {
  let place = tile_place(p, lane, tile, e);
  if (place.x < p.rows && place.y < row_chunks(p.matrix)) {
    return chunk_scale(p.matrix, row_of(p.kind, group, place.x), place.y);
  }
  return 0u;
}

fn load_tile(p: Product, group: u32, lane: u32, tile: u32) -> Tile {
  var t: Tile;
  t.a = tile_words(p, group, lane, tile, 0u);
  t.b = tile_words(p, group, lane, tile, 1u);
  t.c = tile_words(p, group, lane, tile, 2u);
  t.d = tile_words(p, group, lane, tile, 3u);
  t.e = tile_words(p, group, lane, tile, 4u);
  t.f = tile_words(p, group, lane, tile, 5u);
  t.g = tile_words(p, group, lane, tile, 6u);
  t.h = tile_words(p, group, lane, tile, 7u);
  if (p.matrix.dtype >= DTYPE_INT8) {
    t.scales_low = vec4<u32>(
      tile_scale(p, group, lane, tile, 0u), tile_scale(p, group, lane, tile, 1u),
      tile_scale(p, group, lane, tile, 2u), tile_scale(p, group, lane, tile, 3u));
    t.scales_high = vec4<u32>(
      tile_scale(p, group, lane, tile, 4u), tile_scale(p, group, lane, tile, 5u),
      tile_scale(p, group, lane, tile, 6u), tile_scale(p, group, lane, tile, 7u));
  }
  return t;
}

fn dot_int4(word: u32, chunk: u32, stride: u32, q: u32) -> f32 {
  return dot(unpack_int4(word), x[q * stride + chunk]) + dot(unpack_int4(word >> 4u), x[(q + 1u) * stride + chunk]);
}

// The sum over the columns of element e of a lane's tile.
fn tile_dot(p: Product, lane: u32, tile: u32, e: u32, words: vec4<u32>, scale: u32) -> f32 {
  let m = p.matrix;
  let stride = row_chunks(m);
  let chunk = min(tile_place(p, lane, tile, e).y, stride - 1u); // beyond it, words are zeros
  if (m.dtype == DTYPE_F32) {
    return dot(bitcast<vec4<f32>>(words), x[chunk]);
  }
  if (m.dtype == DTYPE_F16) {
    return dot(unpack_f16(words.xy), x[chunk]) + dot(unpack_f16(words.zw), x[stride + chunk]);
  }
  if (m.dtype == DTYPE_BF16) {
    return dot(unpack_bf16(words.xy), x[chunk]) + dot(unpack_bf16(words.zw), x[stride + chunk]);
  }
  if (m.dtype == DTYPE_INT8) {
    return scale_of(m, scale, chunk) *
      ((dot(unpack_int8(words.x), x[chunk]) + dot(unpack_int8(words.y), x[stride + chunk])) +
        (dot(unpack_int8(words.z), x[2u * stride + chunk]) + dot(unpack_int8(words.w), x[3u * stride + chunk])));
  }
  return scale_of(m, scale, chunk) *
    ((dot_int4(words.x, chunk, stride, 0u) + dot_int4(words.y, chunk, stride, 2u)) +
      (dot_int4(words.z, chunk, stride, 4u) + dot_int4(words.w, chunk, stride, 6u)));
}

// What a lane's tile adds to its rows, of which there are p.each.
fn tile_dots(p: Product, lane: u32, tile: u32, t: Tile) -> vec4<f32> {
  let low = vec4<f32>(
    tile_dot(p, lane, tile, 0u, t.a, t.scales_low.x), tile_dot(p, lane, tile, 1u, t.b, t.scales_low.y),
    tile_dot(p, lane, tile, 2u, t.c, t.scales_low.z), tile_dot(p, lane, tile, 3u, t.d, t.scales_low.w));
  let high = vec4<f32>(
    tile_dot(p, lane, tile, 4u, t.e, t.scales_high.x), tile_dot(p, lane, tile, 5u, t.f, t.scales_high.y),
    tile_dot(p, lane, tile, 6u, t.g, t.scales_high.z), tile_dot(p, lane, tile, 7u, t.h, t.scales_high.w));
  let all = low + high;
  if (p.each == 4u) {
    return all;
  }
  let pairs = all.xy + all.zw;
  if (p.each == 2u) {
    return vec4<f32>(pairs, 0.0, 0.0);
  }
  return vec4<f32>(pairs.x + pairs.y, 0.0, 0.0, 0.0);
}

fn sums4(i: u32) -> vec4<f32> {
  return vec4<f32>(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

// The sum of `count` values, a multiple of 4.
fn sum_of(start: u32, count: u32) -> f32 {
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < count; i += 4u) {
    sum += sums4(start + i);
  }
  return (sum.x + sum.y) + (sum.z + sum.w);
}

fn sum32(start: u32) -> f32 {
  let sum = ((sums4(start) + sums4(start + 4u)) + (sums4(start + 8u) + sums4(start + 12u))) +
    ((sums4(start + 16u) + sums4(start + 20u)) + (sums4(start + 24u) + sums4(start + 28u)));
  return (sum.x + sum.y) + (sum.z + sum.w);
}

// Computes all own rows; take() has been called for each by a lane when the workgroup meets next.
fn product(p: Product, group: u32, lane: u32, first: Tile, second: Tile) {
  let across = tiles_across(p);
  let rows_at_once = slots(p) * p.each;
  let tiles = (p.rows + rows_at_once - 1u) / rows_at_once * across;
  var now = first;
  var next = second;
  var partial = vec4<f32>(0.0);
  for (var tile = 0u; tile < tiles; tile++) {
    let later = load_tile(p, group, lane, tile + 2u);
    partial += tile_dots(p, lane, tile, now);
    now = next;
    next = later;
    if (tile % across == across - 1u) {
      let block = tile / across;
      // In turns in either half, so that one meeting a block is enough.
      let half = block % 2u * PART;
      let place = half + lane / p.lanes * (p.lanes + 1u) + lane % p.lanes;
      let step = slots(p) * (p.lanes + 1u);
      sums[place] = partial.x;
      if (p.each > 1u) {
        sums[place + step] = partial.y;
      }
      if (p.each > 2u) {
        sums[place + 2u * step] = partial.z;
        sums[place + 3u * step] = partial.w;
      }
      partial = vec4<f32>(0.0);
      workgroupBarrier();
      let row = block * rows_at_once + lane;
      if (lane < rows_at_once && row < p.rows) {
        var sum = 0.0;
        for (var i = 0u; i < p.lanes; i += 32u) {
          sum += sum32(half + lane * (p.lanes + 1u) + i);
        }
        take(p.kind, group, row, sum);
      }
    }
  }
}

// Of each lane's sum of squares in sums, from SQUARES on, 32 sums, which are there when the workgroup meets next.
fn sum_squares(lane: u32) {
  if (lane < 32u) {
    var sum = 0.0;
    for (var i = lane; i < LANES; i += 32u) {
      sum += sums[SQUARES + i];
    }
    sums[SQUARES + LANES + lane] = sum;
  }
}

fn rstd_of(columns: u32) -> f32 {
  return inverseSqrt(sum32(SQUARES + LANES) / f32(columns) + EPS);
}
