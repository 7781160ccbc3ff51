// _step_product: products of a workgroup's rows, for kernels of whole steps.
//   Most lanes multiply, product_lanes() of them; the last STAGE_LANES wait for what other workgroups post, lay it out
//   and finish sums. A lane has one chain (see _chains) of up to four rows' sums. A tile is up to twelve chunks of
//   these, all on their way at once, and another is under way while one is used. The input lies in x, vec4 q of chunk c
//   at q * chunks + c, so that neighboring lanes read neighboring memory; the last vec4 of x is zero.
//   What is written out would be shorter with loops, which wait for each of their loads; and each kind of product has
//   its own call, so that a compiler knows its shape: what is computed of it in every lane takes longer than the sums.
// Goes after _chains and _step. The kernel declares the workgroup memory x (vec4<f32>: X_VECS) and sums (f32: twice
// PART, then at SQUARES X_VECS and CHAINS), LANES, PART, SQUARES, X_VECS, EPS and take(p, group, row, sum).

// What a workgroup computes of x matrix^T; matrices of products have W_DTYPE. What does not depend on the workgroup is
// known when the kernel is compiled.
struct Product {
  kind: u32,      // for take()
  all_rows: u32,
  columns: u32,
  chunks: u32,    // of a row
  most: u32,      // rows of a workgroup
  each: u32,      // rows of a lane at a time
  turns: u32,     // chunks of each of these in a tile
  at: vec2<u32>,
  rows: u32,      // that are the workgroup's
  split: u32,     // its row i is first_row + i before, from there on second_row + i, and from split_2 on third_row + i
  split_2: u32,
  first_row: u32,
  second_row: u32,
  third_row: u32,
}

fn global_row(p: Product, i: u32) -> u32 {
  return i + select(select(p.third_row, p.second_row, i < p.split_2), p.first_row, i < p.split);
}

// Chunk i is of a lane's row i % each, and of turn i / each. With words of scales.
struct Tile {
  c0: vec4<u32>,
  c1: vec4<u32>,
  c2: vec4<u32>,
  c3: vec4<u32>,
  c4: vec4<u32>,
  c5: vec4<u32>,
  c6: vec4<u32>,
  c7: vec4<u32>,
  c8: vec4<u32>,
  c9: vec4<u32>,
  c10: vec4<u32>,
  c11: vec4<u32>,
  scales_0: vec4<u32>,
  scales_4: vec4<u32>,
  scales_8: vec4<u32>,
}

const STAGE_LANES = 128u;

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

fn rows_at_once(p: Product) -> u32 {
  return slots() * p.each;
}

// Tiles of a row.
fn tiles_of(p: Product) -> u32 {
  return (p.chunks + p.turns * CHAINS - 1u) / (p.turns * CHAINS);
}

// Whether tiles have chunks beyond the end of a row: they are its last one, which meets the zero of x.
fn is_ragged(p: Product) -> bool {
  return tiles_of(p) * p.turns * CHAINS > p.chunks;
}

// The row of the matrix that is a lane's r-th of a block; past the last one, that.
fn lane_row(p: Product, lane: u32, block: u32, r: u32) -> u32 {
  return global_row(p, min(block * rows_at_once(p) + r * slots() + lane / CHAINS, max(p.rows, 1u) - 1u));
}

// Chunk i of a tile that begins with chunk `first` of each row.
fn tile_chunk(p: Product, first: u32, i: u32) -> u32 {
  return min(first + i / p.each * CHAINS, p.chunks - 1u);
}

fn is_in_tile(p: Product, i: u32) -> bool {
  return i < p.each * p.turns;
}

fn load_chunk(p: Product, rows: vec4<u32>, first: u32, i: u32) -> vec4<u32> {
  if (!is_in_tile(p, i)) {
    return vec4<u32>(0u);
  }
  return load(p.at, rows[i % p.each] * p.chunks + tile_chunk(p, first, i));
}

// The word with its scale.
fn load_scale(p: Product, rows: vec4<u32>, first: u32, i: u32) -> u32 {
  if (!is_in_tile(p, i)) {
    return 0u;
  }
  let start = p.all_rows * p.chunks * 4u + rows[i % p.each] * scale_words(p.columns);
  return load_word(p.at, start + tile_chunk(p, first, i) * chunk_columns(W_DTYPE) / QUANT_GROUP / 2u);
}

fn load_scales(p: Product, rows: vec4<u32>, chunk: u32, i: u32) -> vec4<u32> {
  return vec4<u32>(load_scale(p, rows, chunk, i), load_scale(p, rows, chunk, i + 1u),
                   load_scale(p, rows, chunk, i + 2u), load_scale(p, rows, chunk, i + 3u));
}

// A tile of a block. All its loads are on their way at once.
fn load_tile(p: Product, lane: u32, block: u32, number: u32) -> Tile {
  var tile: Tile;
  if (lane < product_lanes()) {
    let rows = vec4<u32>(lane_row(p, lane, block, 0u), lane_row(p, lane, block, 1u),
                         lane_row(p, lane, block, 2u), lane_row(p, lane, block, 3u));
    let chunk = number * p.turns * CHAINS + lane % CHAINS;
    tile.c0 = load_chunk(p, rows, chunk, 0u);
    tile.c1 = load_chunk(p, rows, chunk, 1u);
    tile.c2 = load_chunk(p, rows, chunk, 2u);
    tile.c3 = load_chunk(p, rows, chunk, 3u);
    tile.c4 = load_chunk(p, rows, chunk, 4u);
    tile.c5 = load_chunk(p, rows, chunk, 5u);
    tile.c6 = load_chunk(p, rows, chunk, 6u);
    tile.c7 = load_chunk(p, rows, chunk, 7u);
    tile.c8 = load_chunk(p, rows, chunk, 8u);
    tile.c9 = load_chunk(p, rows, chunk, 9u);
    tile.c10 = load_chunk(p, rows, chunk, 10u);
    tile.c11 = load_chunk(p, rows, chunk, 11u);
    if (W_DTYPE >= DTYPE_INT8) {
      tile.scales_0 = load_scales(p, rows, chunk, 0u);
      tile.scales_4 = load_scales(p, rows, chunk, 4u);
      tile.scales_8 = load_scales(p, rows, chunk, 8u);
    }
  }
  return tile;
}

fn plus_halves(sum: f32, v: vec4<f32>, words: vec2<u32>) -> f32 {
  if (W_DTYPE == DTYPE_F16) {
    return plus_dot(sum, v, unpack_f16(words));
  }
  return plus_dot(sum, v, unpack_bf16(words));
}

// Eight columns, whose input is at i and i + step.
fn plus_int4(sum: f32, i: u32, step: u32, word: u32) -> f32 {
  return plus_dot(plus_dot(sum, x[i], unpack_int4(word)), x[i + step], unpack_int4(word >> 4u));
}

// What a chunk adds to its chain, whose input lies at i, i + step, ...
fn plus_words(sum: f32, i: u32, step: u32, words: vec4<u32>, scale: f32) -> f32 {
  if (W_DTYPE == DTYPE_F32) {
    return plus_dot(sum, x[i], bitcast<vec4<f32>>(words));
  }
  if (W_DTYPE <= DTYPE_BF16) {
    return plus_halves(plus_halves(sum, x[i], words.xy), x[i + step], words.zw);
  }
  var part = 0.0;
  if (W_DTYPE == DTYPE_INT8) {
    part = plus_dot(part, x[i], unpack_int8(words.x));
    part = plus_dot(part, x[i + step], unpack_int8(words.y));
    part = plus_dot(part, x[i + 2u * step], unpack_int8(words.z));
    part = plus_dot(part, x[i + 3u * step], unpack_int8(words.w));
  } else {
    part = plus_int4(part, i, step, words.x);
    part = plus_int4(part, i + 2u * step, step, words.y);
    part = plus_int4(part, i + 4u * step, step, words.z);
    part = plus_int4(part, i + 6u * step, step, words.w);
  }
  return fma(scale, part, sum);
}

// What chunk i of a tile adds to a lane's chains.
fn plus_chunk(sums_own: vec4<f32>, p: Product, first: u32, i: u32, words: vec4<u32>, scale_word: u32) -> vec4<f32> {
  if (!is_in_tile(p, i)) {
    return sums_own;
  }
  let chunk = first + i / p.each * CHAINS;
  var place = vec2<u32>(chunk, p.chunks);
  if (is_ragged(p)) {
    place = select(vec2<u32>(X_VECS - 1u, 0u), place, chunk < p.chunks);
  }
  let group = tile_chunk(p, first, i) * chunk_columns(W_DTYPE) / QUANT_GROUP;
  let row = i % p.each;
  let sum = plus_words(sums_own[row], place.x, place.y, words, scale_of(scale_word, group));
  return select(sums_own, vec4<f32>(sum), vec4<u32>(row) == vec4<u32>(0u, 1u, 2u, 3u));
}

// What a tile that begins with a chunk adds.
fn plus_tile(before: vec4<f32>, p: Product, chunk: u32, t: Tile) -> vec4<f32> {
  var sum = plus_chunk(before, p, chunk, 0u, t.c0, t.scales_0.x);
  sum = plus_chunk(sum, p, chunk, 1u, t.c1, t.scales_0.y);
  sum = plus_chunk(sum, p, chunk, 2u, t.c2, t.scales_0.z);
  sum = plus_chunk(sum, p, chunk, 3u, t.c3, t.scales_0.w);
  sum = plus_chunk(sum, p, chunk, 4u, t.c4, t.scales_4.x);
  sum = plus_chunk(sum, p, chunk, 5u, t.c5, t.scales_4.y);
  sum = plus_chunk(sum, p, chunk, 6u, t.c6, t.scales_4.z);
  sum = plus_chunk(sum, p, chunk, 7u, t.c7, t.scales_4.w);
  sum = plus_chunk(sum, p, chunk, 8u, t.c8, t.scales_8.x);
  sum = plus_chunk(sum, p, chunk, 9u, t.c9, t.scales_8.y);
  sum = plus_chunk(sum, p, chunk, 10u, t.c10, t.scales_8.z);
  return plus_chunk(sum, p, chunk, 11u, t.c11, t.scales_8.w);
}

fn sums4(i: u32) -> vec4<f32> {
  return vec4<f32>(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
}

// From one row's chains to the next one's: so that lanes that read the same chain of their rows do not meet in a bank.
const SUM_STRIDE = CHAINS + 1u;

// Of all chains. Written out, as loops wait for each load.
fn sum_of_chains(i: u32) -> f32 {
  let half = ((sum4(sums4(i)) + sum4(sums4(i + 4u))) + sum4(sums4(i + 8u))) + sum4(sums4(i + 12u));
  let more = (half + sum4(sums4(i + 16u))) + sum4(sums4(i + 20u));
  return (more + sum4(sums4(i + 24u))) + sum4(sums4(i + 28u));
}

// A lane's number among those that stage, and very much of the others.
fn stage_lane(lane: u32) -> u32 {
  return lane - product_lanes();
}

// A lane's chains of a block.
fn put_chains(p: Product, lane: u32, half: u32, chains: vec4<f32>) {
  let own = half + lane / CHAINS * SUM_STRIDE + lane % CHAINS;
  let step = slots() * SUM_STRIDE;
  sums[own] = chains.x;
  if (p.each > 1u) {
    sums[own + step] = chains.y;
  }
  if (p.each > 2u) {
    sums[own + 2u * step] = chains.z;
  }
  if (p.each > 3u) {
    sums[own + 3u * step] = chains.w;
  }
}

fn take_block(p: Product, group: u32, lane: u32, block: u32, half: u32) {
  let i = stage_lane(lane);
  let row = block * rows_at_once(p) + i;
  if (i < rows_at_once(p) && row < p.rows) {
    take(p, group, row, sum_of_chains(half + i * SUM_STRIDE));
  }
}

// What is to be loaded after a lane's first tile: no chunks, if that is all.
fn after_first(p: Product) -> Product {
  var rest = p;
  if (p.most <= rows_at_once(p) && tiles_of(p) == 1u) {
    rest.turns = 0u;
  }
  return rest;
}

// Computes all own rows; take() has been called for each by a lane when the workgroup meets next.
fn product(p: Product, group: u32, lane: u32, first: Tile) {
  let tiles = tiles_of(p);
  var tile = first;
  for (var block = 0u; block * rows_at_once(p) < p.rows; block++) {
    // In turns in either half, so that one meeting is enough.
    let half = block % 2u * PART;
    if (lane < product_lanes()) {
      var chains = vec4<f32>(0.0);
      for (var number = 0u; number < tiles; number++) {
        let is_last = number + 1u == tiles;
        let next = load_tile(
          after_first(p), lane, select(block, block + 1u, is_last), select(number + 1u, 0u, is_last));
        chains = plus_tile(chains, p, number * p.turns * CHAINS + lane % CHAINS, tile);
        tile = next;
      }
      put_chains(p, lane, half, chains);
    }
    workgroupBarrier();
    take_block(p, group, lane, block, half);
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

// Words of rows that are multiplied later: by then they are in a cache. They are taken note of when the next ones are
// touched.
var<private> touched_a: vec4<u32>;
var<private> touched_b: vec4<u32>;
var<private> touched_x: u32;
var<private> all_touched: vec4<u32>;

// A word of every 32 bytes of some rows, up to four a lane.
fn touch_rows(p: Product, first_row: u32, rows: u32, lane: u32) -> vec4<u32> {
  let start = first_row * p.chunks;
  let last = max(start + rows * p.chunks, 1u) - 1u;
  let i = start + 2u * lane;
  let step = 2u * product_lanes();
  return vec4<u32>(load_word(p.at, 4u * min(i, last)), load_word(p.at, 4u * min(i + step, last)),
                   load_word(p.at, 4u * min(i + 2u * step, last)), load_word(p.at, 4u * min(i + 3u * step, last)));
}

// The rows of a later product, of which there may be two parts.
fn touch(p: Product, lane: u32) {
  if (lane < product_lanes()) {
    all_touched ^= touched_a ^ touched_b;
    let before = min(p.split, p.rows);
    touched_a = touch_rows(p, p.first_row, before, lane);
    if (p.kind == IN_PROJ) {
      touched_b = touch_rows(p, global_row(p, p.split), p.rows - before, lane);
    }
  }
}

// One word a lane of the first rows.
fn touch_few(p: Product, lane: u32) {
  all_touched.x ^= touched_x;
  if (2u * lane < p.rows * p.chunks) {
    touched_x = load_word(p.at, 4u * (p.first_row * p.chunks + 2u * lane));
  }
}
