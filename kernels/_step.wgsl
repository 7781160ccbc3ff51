// _step: what kernels of whole steps share: weights wherever they lie, and products of a workgroup's own rows.
//   A lane has one chain of a row's sum (see _chains, which this goes after), of four rows. A tile is what it has of
//   them and of two chunks of its chain, all on its way at once, and the next two tiles are under way while one is
//   used. The input lies in x, vec4 q of chunk c at q * chunks + c, so that neighboring lanes read neighboring memory;
//   the last vec4 of x is zero.
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

// Of two chunks, for each of four rows.
struct Tile {
  a0: vec4<u32>,
  b0: vec4<u32>,
  a1: vec4<u32>,
  b1: vec4<u32>,
  a2: vec4<u32>,
  b2: vec4<u32>,
  a3: vec4<u32>,
  b3: vec4<u32>,
  scales_a: vec4<u32>, // words with the scales of a row's first chunk
  scales_b: vec4<u32>,
}

const TILE_ROWS = 4u;
const TILE_CHUNKS = 2u;

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

// Rows that lanes side by side have, and tiles that they take to come across a row.
fn slots() -> u32 {
  return LANES / CHAINS;
}

fn tiles_across(p: Product) -> u32 {
  return (p.chunks + TILE_CHUNKS * CHAINS - 1u) / (TILE_CHUNKS * CHAINS);
}

// Where a lane's tile is: its first row of the workgroup's, and its first chunk.
fn first_place(lane: u32) -> vec2<u32> {
  return vec2<u32>(lane / CHAINS, lane % CHAINS);
}

// The tile beside it, or the first one of the next rows.
fn place_after(p: Product, lane: u32, place: vec2<u32>) -> vec2<u32> {
  let chunk = place.y + TILE_CHUNKS * CHAINS;
  let next_rows = vec2<u32>(place.x + TILE_ROWS * slots(), lane % CHAINS);
  return select(next_rows, vec2<u32>(place.x, chunk), chunk - lane % CHAINS < p.chunks);
}

// The words with the scales of two chunks of a row.
fn load_scales(p: Product, row: u32, chunk: u32) -> vec2<u32> {
  let start = p.all_rows * p.chunks * 4u + global_row(p, row) * scale_words(p.columns);
  let columns = chunk_columns(W_DTYPE);
  let a = min(chunk, p.chunks - 1u) * columns / QUANT_GROUP / 2u;
  let b = min(chunk + CHAINS, p.chunks - 1u) * columns / QUANT_GROUP / 2u;
  return vec2<u32>(load_word(p.at, start + a), load_word(p.at, start + b));
}

// All its loads are on their way at once: single variables stay in registers, which arrays and structs may not. Chunks
// beyond the end of a row are others of the same matrix, which meet the zero of x.
fn load_tile(p: Product, place: vec2<u32>) -> Tile {
  var a0 = vec4<u32>(0u);
  var b0 = vec4<u32>(0u);
  var a1 = vec4<u32>(0u);
  var b1 = vec4<u32>(0u);
  var a2 = vec4<u32>(0u);
  var b2 = vec4<u32>(0u);
  var a3 = vec4<u32>(0u);
  var b3 = vec4<u32>(0u);
  var s0 = vec2<u32>(0u);
  var s1 = vec2<u32>(0u);
  var s2 = vec2<u32>(0u);
  var s3 = vec2<u32>(0u);
  let rows = place.x + vec4<u32>(0u, slots(), 2u * slots(), 3u * slots());
  let columns = vec2<u32>(place.y, place.y + CHAINS);
  let chunks = select(vec2<u32>(0u), columns, columns < vec2<u32>(p.chunks));
  if (rows.x < p.rows) {
    let start = global_row(p, rows.x) * p.chunks;
    a0 = load(p.at, start + chunks.x);
    b0 = load(p.at, start + chunks.y);
  }
  if (rows.y < p.rows) {
    let start = global_row(p, rows.y) * p.chunks;
    a1 = load(p.at, start + chunks.x);
    b1 = load(p.at, start + chunks.y);
  }
  if (rows.z < p.rows) {
    let start = global_row(p, rows.z) * p.chunks;
    a2 = load(p.at, start + chunks.x);
    b2 = load(p.at, start + chunks.y);
  }
  if (rows.w < p.rows) {
    let start = global_row(p, rows.w) * p.chunks;
    a3 = load(p.at, start + chunks.x);
    b3 = load(p.at, start + chunks.y);
  }
  if (W_DTYPE >= DTYPE_INT8) {
    let last = vec4<u32>(max(p.rows, 1u) - 1u);
    let own = min(rows, last);
    s0 = load_scales(p, own.x, place.y);
    s1 = load_scales(p, own.y, place.y);
    s2 = load_scales(p, own.z, place.y);
    s3 = load_scales(p, own.w, place.y);
  }
  return Tile(
    a0, b0, a1, b1, a2, b2, a3, b3, vec4<u32>(s0.x, s1.x, s2.x, s3.x), vec4<u32>(s0.y, s1.y, s2.y, s3.y));
}

// Where a chunk's input lies, and how far its vec4s are apart; beyond the end of a row, it is the zero.
fn x_of(p: Product, chunk: u32) -> vec2<u32> {
  return select(vec2<u32>(X_VECS - 1u, 0u), vec2<u32>(chunk, p.chunks), chunk < p.chunks);
}

// What four columns of each of four rows add to their sums.
fn plus_quads(
  sums: vec4<f32>, v: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
) -> vec4<f32> {
  return vec4<f32>(plus_dot(sums.x, v, a), plus_dot(sums.y, v, b), plus_dot(sums.z, v, c), plus_dot(sums.w, v, d));
}

fn plus_halves(
  sums: vec4<f32>, v: vec4<f32>, a: vec2<u32>, b: vec2<u32>, c: vec2<u32>, d: vec2<u32>,
) -> vec4<f32> {
  if (W_DTYPE == DTYPE_F16) {
    return plus_quads(sums, v, unpack_f16(a), unpack_f16(b), unpack_f16(c), unpack_f16(d));
  }
  return plus_quads(sums, v, unpack_bf16(a), unpack_bf16(b), unpack_bf16(c), unpack_bf16(d));
}

fn plus_int8(sums: vec4<f32>, v: vec4<f32>, a: u32, b: u32, c: u32, d: u32) -> vec4<f32> {
  return plus_quads(sums, v, unpack_int8(a), unpack_int8(b), unpack_int8(c), unpack_int8(d));
}

// Eight columns, whose input is at i and i + step.
fn plus_int4(sums: vec4<f32>, i: u32, step: u32, a: u32, b: u32, c: u32, d: u32) -> vec4<f32> {
  let low = plus_quads(sums, x[i], unpack_int4(a), unpack_int4(b), unpack_int4(c), unpack_int4(d));
  return plus_quads(
    low, x[i + step], unpack_int4(a >> 4u), unpack_int4(b >> 4u), unpack_int4(c >> 4u), unpack_int4(d >> 4u));
}

// What one chunk of each of four rows adds to their chains.
fn plus_chunks(
  sums: vec4<f32>, p: Product, chunk: u32, a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>, scales: vec4<u32>,
) -> vec4<f32> {
  let place = x_of(p, chunk);
  let i = place.x;
  let step = place.y;
  if (W_DTYPE == DTYPE_F32) {
    return plus_quads(
      sums, x[i], bitcast<vec4<f32>>(a), bitcast<vec4<f32>>(b), bitcast<vec4<f32>>(c), bitcast<vec4<f32>>(d));
  }
  if (W_DTYPE <= DTYPE_BF16) {
    return plus_halves(plus_halves(sums, x[i], a.xy, b.xy, c.xy, d.xy), x[i + step], a.zw, b.zw, c.zw, d.zw);
  }
  let group = min(chunk, p.chunks - 1u) * chunk_columns(W_DTYPE) / QUANT_GROUP;
  let scale = vec4<f32>(
    scale_of(scales.x, group), scale_of(scales.y, group), scale_of(scales.z, group), scale_of(scales.w, group));
  var part = vec4<f32>(0.0);
  if (W_DTYPE == DTYPE_INT8) {
    part = plus_int8(part, x[i], a.x, b.x, c.x, d.x);
    part = plus_int8(part, x[i + step], a.y, b.y, c.y, d.y);
    part = plus_int8(part, x[i + 2u * step], a.z, b.z, c.z, d.z);
    part = plus_int8(part, x[i + 3u * step], a.w, b.w, c.w, d.w);
  } else {
    part = plus_int4(part, i, step, a.x, b.x, c.x, d.x);
    part = plus_int4(part, i + 2u * step, step, a.y, b.y, c.y, d.y);
    part = plus_int4(part, i + 4u * step, step, a.z, b.z, c.z, d.z);
    part = plus_int4(part, i + 6u * step, step, a.w, b.w, c.w, d.w);
  }
  return fma(scale, part, sums);
}

fn sums4(i: u32) -> vec4<f32> {
  return vec4<f32>(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

// Of `count` chains, whole groups of them.
fn sum_of_chains(first: u32, count: u32) -> f32 {
  var sum = 0.0;
  for (var i = first; i < first + count; i += GROUP_CHAINS) {
    sum += sum4(sums4(i));
  }
  return sum;
}

// Leaves the sums of a lane's rows with the others', and lets a lane of each row take all of them.
fn finish_rows(p: Product, group: u32, lane: u32, block: u32, partial: vec4<f32>) {
  // In turns in either half, so that one meeting a block is enough.
  let half = block % 2u * PART;
  let place = half + lane / CHAINS * (CHAINS + 1u) + lane % CHAINS;
  let step = slots() * (CHAINS + 1u);
  sums[place] = partial.x;
  sums[place + step] = partial.y;
  sums[place + 2u * step] = partial.z;
  sums[place + 3u * step] = partial.w;
  workgroupBarrier();
  let row = block * slots() * TILE_ROWS + lane;
  if (lane < slots() * TILE_ROWS && row < p.rows) {
    take(p, group, row, sum_of_chains(half + lane * (CHAINS + 1u), CHAINS));
  }
}

// Computes all own rows; take() has been called for each by a lane when the workgroup meets next.
fn product(p: Product, group: u32, lane: u32, first: Tile, second: Tile) {
  let across = tiles_across(p);
  let blocks = (p.rows + slots() * TILE_ROWS - 1u) / (slots() * TILE_ROWS);
  var a0 = first.a0;
  var b0 = first.b0;
  var a1 = first.a1;
  var b1 = first.b1;
  var a2 = first.a2;
  var b2 = first.b2;
  var a3 = first.a3;
  var b3 = first.b3;
  var scales_a = first.scales_a;
  var scales_b = first.scales_b;
  var next_a0 = second.a0;
  var next_b0 = second.b0;
  var next_a1 = second.a1;
  var next_b1 = second.b1;
  var next_a2 = second.a2;
  var next_b2 = second.b2;
  var next_a3 = second.a3;
  var next_b3 = second.b3;
  var next_scales_a = second.scales_a;
  var next_scales_b = second.scales_b;
  var later = place_after(p, lane, place_after(p, lane, first_place(lane)));
  for (var block = 0u; block < blocks; block++) {
    var partial = vec4<f32>(0.0);
    for (var i = 0u; i < across; i++) {
      let loaded = load_tile(p, later);
      later = place_after(p, lane, later);
      let chunk = lane % CHAINS + i * TILE_CHUNKS * CHAINS;
      partial = plus_chunks(partial, p, chunk, a0, a1, a2, a3, scales_a);
      partial = plus_chunks(partial, p, chunk + CHAINS, b0, b1, b2, b3, scales_b);
      a0 = next_a0;
      b0 = next_b0;
      a1 = next_a1;
      b1 = next_b1;
      a2 = next_a2;
      b2 = next_b2;
      a3 = next_a3;
      b3 = next_b3;
      scales_a = next_scales_a;
      scales_b = next_scales_b;
      next_a0 = loaded.a0;
      next_b0 = loaded.b0;
      next_a1 = loaded.a1;
      next_b1 = loaded.b1;
      next_a2 = loaded.a2;
      next_b2 = loaded.b2;
      next_a3 = loaded.a3;
      next_b3 = loaded.b3;
      next_scales_a = loaded.scales_a;
      next_scales_b = loaded.scales_b;
    }
    finish_rows(p, group, lane, block, partial);
  }
}

// From the squares of the fours of x in sums, from SQUARES on, those of their chains, which are there when the
// workgroup meets next.
fn sum_squares(p: Product, lane: u32) {
  if (lane < CHAINS) {
    var sum = 0.0;
    for (var v = lane; v < x_vecs(p); v += CHAINS) {
      sum += sums[SQUARES + v];
    }
    sums[SQUARES + X_VECS + lane] = sum;
  }
}

// What x is to be multiplied with for its norm.
fn norm_factor(inverse_columns: f32) -> f32 {
  return inverseSqrt(fma(sum_of_chains(SQUARES + X_VECS, CHAINS), inverse_columns, EPS));
}
