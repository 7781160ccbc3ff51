// matvec_tiles: what matvec_fwd computes, for the steps of many sequences, in tiles of X_ROWS rows of x and O_ROWS of
// weight. With norm, residual and conv1d as _matvec says, in the order of sums that _chains says.
// A phase is AT_ONCE chains side by side, for each of which 32 lanes have the sums of the tile, EACH rows of x times
// four of weight a lane. A step of it is PAIR fours of columns of a chunk of each chain: neighboring memory, which all
// lanes lay out in workgroup memory while the next ones are on their way. After a phase the chains' sums meet there.
// The grid is (blocks of rows of x, blocks of rows of weight): workgroups side by side read the same weights.
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override EACH: u32;        // 4 or 8
override ALIGNED: bool;    // rows of x start at multiples of 4 floats and D_IN is a multiple of 4
override NORM: bool;
override EPS: f32;
override BIAS: bool;
override RESIDUAL: bool;
override CONV: bool;
override CONV_BIAS: bool;
override D_CONV: u32;
override CONV_START: u32;
override D_INNER: u32;
// The same as chunk_quads(), as constants are made of it.
override QUADS: u32 = select(select(select(2u, 4u, W_DTYPE == 3u), 8u, W_DTYPE == 4u), 1u, W_DTYPE == 0u);
override CHUNKS: u32 = W_STRIDE / (4u * QUADS); // of a row
override TURNS: u32 = (CHUNKS + 31u) / 32u;     // chunks of a chain
override PAIR: u32 = select(2u, 1u, QUADS == 1u);
override PAIRS: u32 = QUADS / PAIR;             // steps of a chunk
override STEPS: u32 = TURNS * PAIRS;            // of a chain
override X_ROWS: u32 = 4u * EACH;               // of a tile

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(4) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(5) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(6) var<storage, read_write> conv_state: array<f32>;  // (rows, D_INNER, D_CONV), newest last
@group(0) @binding(7) var<storage, read_write> y: array<f32>;           // (rows, all rows) at stride ld_y
@group(0) @binding(8) var<uniform> params: Params;

const AT_ONCE = 8u; // chains
const O_ROWS = 32u;
const LANES = 256u;
const W_TILE = 512u; // where the weights of a step begin

// x of a step, then weights; sums of chains; squares of x.
var<workgroup> shared_memory: array<vec4<f32>, 1024>;

// Where a step is: which chains, which of their chunks, and which fours of these.
struct Place {
  phase: u32,
  turn: u32,
  pair: u32,
}

fn place_at(step: u32) -> Place {
  return Place(step / STEPS, step / PAIRS % TURNS, step % PAIRS);
}

fn chunk_of(place: Place, chain: u32) -> u32 {
  return place.turn * CHAINS + place.phase * AT_ONCE + chain;
}

// A step's i-th four of x.
fn x_of_step(m0: u32, place: Place, i: u32) -> vec4<f32> {
  let quad = place.pair * PAIR + i % PAIR;
  let column = (chunk_of(place, i / PAIR % AT_ONCE) * QUADS + quad) * 4u;
  return x_scaled(m0 + i / (AT_ONCE * PAIR), column);
}

// Moved, so that 8 lanes that write side by side meet in no bank, nor 8 that read.
fn x_place(slot: u32, row: u32) -> u32 {
  return slot * X_ROWS + (row ^ (slot % 8u));
}

fn w_place(chain: u32, quad: u32, row: u32) -> u32 {
  return W_TILE + (chain * PAIR + quad) * O_ROWS + (row ^ chain);
}

fn store_x(i: u32, values: vec4<f32>) {
  shared_memory[x_place(i % (AT_ONCE * PAIR), i / (AT_ONCE * PAIR))] = values;
}

// A chunk of a row of weight; zeros past the last one.
fn load_words(row: u32, chunk: u32) -> vec4<u32> {
  var words: vec4<u32>;
  if (chunk < CHUNKS) {
    words = weight[min(row, ROWS - 1u) * CHUNKS + chunk];
  }
  return words;
}

fn plus_quad(sums: Sums, chain: u32, quad: u32, m: u32, o: u32) -> Sums {
  let w_at = w_place(chain, quad, o);
  let w = mat4x4<f32>(shared_memory[w_at], shared_memory[w_at + 8u], shared_memory[w_at + 16u],
                      shared_memory[w_at + 24u]);
  let slot = chain * PAIR + quad;
  let even = x_place(slot, m);
  let odd = x_place(slot, m + 4u);
  var next: Sums;
  next.m0 = plus_four(sums.m0, shared_memory[even], w);
  next.m1 = plus_four(sums.m1, shared_memory[odd], w);
  next.m2 = plus_four(sums.m2, shared_memory[even + 8u], w);
  next.m3 = plus_four(sums.m3, shared_memory[odd + 8u], w);
  if (EACH == 8u) {
    next.m4 = plus_four(sums.m4, shared_memory[even + 16u], w);
    next.m5 = plus_four(sums.m5, shared_memory[odd + 16u], w);
    next.m6 = plus_four(sums.m6, shared_memory[even + 24u], w);
    next.m7 = plus_four(sums.m7, shared_memory[odd + 24u], w);
  }
  return next;
}

fn plus_step(sums: Sums, chain: u32, m: u32, o: u32) -> Sums {
  let first = plus_quad(sums, chain, 0u, m, o);
  if (PAIR == 1u) {
    return first;
  }
  return plus_quad(first, chain, 1u, m, o);
}

// Of a lane's rows of weight, in a chunk; of chunks past the last one, whose sums are zero, any.
fn scales_of(row: u32, chunk: u32) -> vec4<f32> {
  let column = min(chunk, CHUNKS - 1u) * 4u * QUADS;
  let rows = min(row + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(ROWS - 1u));
  return vec4<f32>(scale_at(rows.x, column), scale_at(rows.y, column), scale_at(rows.z, column),
                   scale_at(rows.w, column));
}

fn squares_at(start: vec4<u32>, column: u32) -> vec4<f32> {
  var squares = vec4<f32>(square_of(x_at(start.x, column)), square_of(x_at(start.y, column)), 0.0, 0.0);
  if (EACH == 8u) {
    squares.z = square_of(x_at(start.z, column));
    squares.w = square_of(x_at(start.w, column));
  }
  return squares;
}

// A chain's squares of rows m, m + 8, ... of x.
fn square_chains(m: u32, chain: u32) -> vec4<f32> {
  let start = vec4<u32>(row_start(m), row_start(m + 8u), row_start(m + 16u), row_start(m + 24u));
  var sums = vec4<f32>(0.0);
  for (var column = 4u * chain; column < D_IN; column += 12u * CHAINS) {
    let first = squares_at(start, column);
    let second = squares_at(start, column + 4u * CHAINS);
    let third = squares_at(start, column + 8u * CHAINS);
    sums = ((sums + first) + second) + third;
  }
  return sums;
}

// Those of rows i, i + 8, ... lie side by side; chains one apart, for the banks' sake.
fn squares4(i: u32, chain: u32) -> vec4<f32> {
  let place = i % 8u * (CHAINS + 1u) + chain;
  let member = i / 8u;
  return vec4<f32>(shared_memory[place][member], shared_memory[place + 1u][member],
                   shared_memory[place + 2u][member], shared_memory[place + 3u][member]);
}

// For row i of the tile.
fn factor_of(m0: u32, i: u32, lane: u32) -> f32 {
  let squares = square_chains(m0 + lane / CHAINS, lane % CHAINS);
  workgroupBarrier();
  shared_memory[lane / CHAINS * (CHAINS + 1u) + lane % CHAINS] = squares;
  workgroupBarrier();
  return norm_factor(i);
}

fn store_sums(place: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
  workgroupBarrier();
  shared_memory[place] = a;
  shared_memory[place + 32u] = b;
  shared_memory[place + 64u] = c;
  shared_memory[place + 96u] = d;
  workgroupBarrier();
}

// With the chains of a phase, two groups of them.
fn plus_chains(total: vec4<f32>, i: u32) -> vec4<f32> {
  let a = ((shared_memory[i] + shared_memory[i + 128u]) + shared_memory[i + 256u]) + shared_memory[i + 384u];
  let b = ((shared_memory[i + 512u] + shared_memory[i + 640u]) + shared_memory[i + 768u]) + shared_memory[i + 896u];
  return (total + a) + b;
}

fn writes(b: u32, o: u32) -> bool {
  return b < params.rows && o < ROWS;
}

fn ending_of(b: u32, o: u32) -> Ending {
  var ending: Ending;
  if (writes(b, o)) {
    ending = load_ending(b, ROW_START + o);
  }
  return ending;
}

fn finish_one(b: u32, o: u32, sum: f32, factor: f32, ending: Ending) {
  if (writes(b, o)) {
    finish(b, ROW_START + o, sum, factor, ending);
  }
}

@compute @workgroup_size(LANES)
fn matvec_tiles(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let m0 = wid.x * X_ROWS;
  let o0 = wid.y * O_ROWS;
  let chain = lane / 32u;
  // Of four lanes' rows of x and eight lanes' of weight.
  let m = lane % 2u + lane / 16u % 2u * 2u;
  let o = lane / 2u % 8u;
  let count = X_ROWS * AT_ONCE * PAIR;
  // What a lane brings of the weights of a step.
  let w_chain = lane % AT_ONCE;
  let w_row = lane / AT_ONCE;
  // Of four sums of a row that a lane finishes.
  let half = lane / 128u;
  let end_row = lane / 8u;
  let own = lane % 128u;
  let place_own = chain * 128u + m * 8u + o;
  var total = vec4<f32>(0.0);
  var next = place_at(0u);
  var next_x = x_of_step(m0, next, lane);
  var next_x2 = x_of_step(m0, next, lane + LANES);
  var next_words = load_words(o0 + w_row, chunk_of(next, w_chain));
  for (var phase = 0u; phase < CHAINS / AT_ONCE; phase++) {
    var chunk_sums = Sums(); // of quantized weights
    var sums = Sums();
    for (var step = 0u; step < STEPS; step++) {
      let place = next;
      let words = next_words;
      workgroupBarrier();
      if (lane < count) {
        store_x(lane, next_x);
      }
      if (LANES < count) {
        store_x(lane + LANES, next_x2);
      }
      shared_memory[w_place(w_chain, 0u, w_row)] = weights_of(words, place.pair, 0u);
      if (PAIR == 2u) {
        shared_memory[w_place(w_chain, 1u, w_row)] = weights_of(words, place.pair, 1u);
      }
      workgroupBarrier();
      next = place_at(phase * STEPS + step + 1u);
      next_x = x_of_step(m0, next, lane);
      if (LANES < count) {
        next_x2 = x_of_step(m0, next, lane + LANES);
      }
      if (PAIRS == 1u || next.pair == 0u) {
        next_words = load_words(o0 + w_row, chunk_of(next, w_chain));
      }
      if (is_quantized()) {
        chunk_sums = plus_step(chunk_sums, chain, m, o);
        if (place.pair == PAIRS - 1u) {
          sums = plus_scaled(sums, scales_of(o0 + o, chunk_of(place, chain)), chunk_sums);
          chunk_sums = Sums();
        }
      } else {
        sums = plus_step(sums, chain, m, o);
      }
    }
    store_sums(place_own, sums.m0, sums.m1, sums.m2, sums.m3);
    if (half == 0u) {
      total = plus_chains(total, own);
    }
    if (EACH == 8u) {
      store_sums(place_own, sums.m4, sums.m5, sums.m6, sums.m7);
      if (half == 1u) {
        total = plus_chains(total, own);
      }
    }
  }
  let b = select(params.rows, m0 + end_row, end_row < X_ROWS);
  let first = o0 + lane % 8u;
  // All are on their way before any is used.
  let x_ending = ending_of(b, first);
  let y_ending = ending_of(b, first + 8u);
  let z_ending = ending_of(b, first + 16u);
  let w_ending = ending_of(b, first + 24u);
  var factor = 1.0;
  if (NORM) {
    factor = factor_of(m0, end_row % X_ROWS, lane);
  }
  finish_one(b, first, total.x, factor, x_ending);
  finish_one(b, first + 8u, total.y, factor, y_ending);
  finish_one(b, first + 16u, total.z, factor, z_ending);
  finish_one(b, first + 24u, total.w, factor, w_ending);
}
