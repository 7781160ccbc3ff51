// matvec_rows: what matvec_fwd computes, for the steps of some sequences: COMPANY rows of x share what is read of
// weight. With norm, residual and conv1d as _matvec says, in the order of sums that _chains says.
// A workgroup is CHAINS x GROUPS lanes: a lane has a chain of each of EACH rows of weight, times COMPANY rows of x.
// Those are laid out in workgroup memory a piece at a time, PAIR fours of columns of each chain's chunk: to load the
// next one meanwhile takes registers, and longer. Then the sums of chains meet there, those of two groups at a time.
// The grid is (blocks of COMPANY rows of x, blocks of EACH x GROUPS rows of weight): workgroups side by side read the
// same weights.
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override GROUPS: u32;      // 4 or 8
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
override PAIRS: u32 = QUADS / PAIR;             // pieces of a turn
override LANES: u32 = 32u * GROUPS;

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

const EACH = 4u;
const COMPANY = 8u;
const PIECE = 64u; // fours of a row of x in a piece, at most

// A piece of x, see place_of(); then squares of x; then sums of chains.
var<workgroup> shared_memory: array<vec4<f32>, 512>;

// Where four columns of a chunk lie in a row's piece: moved, so that 8 lanes that read side by side meet in no bank.
fn place_of(chunk: u32, quad: u32) -> u32 {
  return chunk * PAIR + (quad ^ (chunk / 4u % PAIR));
}

// Of a piece of all rows of x, from m0 on: its i-th four of columns.
fn x_of_piece(m0: u32, piece: u32, i: u32) -> vec4<f32> {
  let within = i % (CHAINS * PAIR);
  let chunk = piece / PAIRS * CHAINS + within / PAIR;
  let column = (chunk * QUADS + piece % PAIRS * PAIR + within % PAIR) * 4u;
  return x_scaled(m0 + i / (CHAINS * PAIR), column);
}

// What one lane brings of a piece: every LANES-th four, of which there are up to four.
fn load_piece(m0: u32, piece: u32, index: u32) -> mat4x4<f32> {
  let count = COMPANY * CHAINS * PAIR;
  var values: mat4x4<f32>;
  values[0] = x_of_piece(m0, piece, index);
  if (LANES < count) {
    values[1] = x_of_piece(m0, piece, index + LANES);
  }
  if (2u * LANES < count) {
    values[2] = x_of_piece(m0, piece, index + 2u * LANES);
    values[3] = x_of_piece(m0, piece, index + 3u * LANES);
  }
  return values;
}

fn store_four(i: u32, values: vec4<f32>) {
  let within = i % (CHAINS * PAIR);
  shared_memory[i / (CHAINS * PAIR) * PIECE + place_of(within / PAIR, within % PAIR)] = values;
}

fn store_piece(values: mat4x4<f32>, index: u32) {
  let count = COMPANY * CHAINS * PAIR;
  store_four(index, values[0]);
  if (LANES < count) {
    store_four(index + LANES, values[1]);
  }
  if (2u * LANES < count) {
    store_four(index + 2u * LANES, values[2]);
    store_four(index + 3u * LANES, values[3]);
  }
}

// A chunk of each of a lane's rows of weight; zeros past the last one.
struct Chunks {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>,
  scales: vec4<f32>,
}

fn load_chunks(row: u32, chunk: u32) -> Chunks {
  let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(ROWS - 1u));
  var chunks: Chunks;
  if (chunk < CHUNKS) {
    chunks.a = weight[rows.x * CHUNKS + chunk];
    chunks.b = weight[rows.y * CHUNKS + chunk];
    chunks.c = weight[rows.z * CHUNKS + chunk];
    chunks.d = weight[rows.w * CHUNKS + chunk];
    if (is_quantized()) {
      let column = chunk * 4u * QUADS;
      chunks.scales = vec4<f32>(scale_at(rows.x, column), scale_at(rows.y, column),
                                scale_at(rows.z, column), scale_at(rows.w, column));
    }
  }
  return chunks;
}

fn plus_quad(sums: Sums, chunks: Chunks, pair: u32, quad: u32, place: u32) -> Sums {
  let w = mat4x4<f32>(weights_of(chunks.a, pair, quad), weights_of(chunks.b, pair, quad),
                      weights_of(chunks.c, pair, quad), weights_of(chunks.d, pair, quad));
  return Sums(
    plus_four(sums.m0, shared_memory[place], w), plus_four(sums.m1, shared_memory[place + PIECE], w),
    plus_four(sums.m2, shared_memory[place + 2u * PIECE], w), plus_four(sums.m3, shared_memory[place + 3u * PIECE], w),
    plus_four(sums.m4, shared_memory[place + 4u * PIECE], w), plus_four(sums.m5, shared_memory[place + 5u * PIECE], w),
    plus_four(sums.m6, shared_memory[place + 6u * PIECE], w), plus_four(sums.m7, shared_memory[place + 7u * PIECE], w));
}

fn plus_piece(sums: Sums, chunks: Chunks, pair: u32, chain: u32) -> Sums {
  let first = plus_quad(sums, chunks, pair, 0u, place_of(chain, 0u));
  if (PAIR == 1u) {
    return first;
  }
  return plus_quad(first, chunks, pair, 1u, place_of(chain, 1u));
}

// From four to four of a chain's columns.
const STRIDE = 4u * CHAINS;

// A chain's squares of a row of x; past its end they are zero. Six loads are on their way at once, as a loop waits for
// each of its own.
fn square_chain(start: u32, chain: u32) -> f32 {
  var sum = 0.0;
  for (var column = 4u * chain; column < D_IN; column += 6u * STRIDE) {
    let a = x_at(start, column);
    let b = x_at(start, column + STRIDE);
    let c = x_at(start, column + 2u * STRIDE);
    let d = x_at(start, column + 3u * STRIDE);
    let e = x_at(start, column + 4u * STRIDE);
    let f = x_at(start, column + 5u * STRIDE);
    sum = ((sum + square_of(a)) + square_of(b)) + square_of(c);
    sum = ((sum + square_of(d)) + square_of(e)) + square_of(f);
  }
  return sum;
}

// Those of row i and of row i + GROUPS lie side by side; chains one apart, for the banks' sake.
fn squares4(i: u32, chain: u32) -> vec4<f32> {
  let place = i % GROUPS * (CHAINS + 1u) + chain;
  let member = i / GROUPS;
  return vec4<f32>(shared_memory[place][member], shared_memory[place + 1u][member],
                   shared_memory[place + 2u][member], shared_memory[place + 3u][member]);
}

// For row i of x, from the squares that all lanes sum up.
fn factor_of(m0: u32, group: u32, chain: u32, i: u32) -> f32 {
  var squares = vec4<f32>(square_chain(row_start(m0 + group), chain), 0.0, 0.0, 0.0);
  if (GROUPS < COMPANY) {
    squares.y = square_chain(row_start(m0 + group + GROUPS), chain);
  }
  workgroupBarrier();
  shared_memory[group * (CHAINS + 1u) + chain] = squares;
  workgroupBarrier();
  return norm_factor(i);
}

// Where a chain's sums of a row of x lie: moved, so that lanes that read those of all rows meet in no bank.
fn sums_place(group: u32, m: u32, chain: u32) -> u32 {
  return (group * COMPANY + m) * CHAINS + (chain ^ m);
}

fn store_sums(group: u32, chain: u32, sums: Sums) {
  shared_memory[sums_place(group, 0u, chain)] = sums.m0;
  shared_memory[sums_place(group, 1u, chain)] = sums.m1;
  shared_memory[sums_place(group, 2u, chain)] = sums.m2;
  shared_memory[sums_place(group, 3u, chain)] = sums.m3;
  shared_memory[sums_place(group, 4u, chain)] = sums.m4;
  shared_memory[sums_place(group, 5u, chain)] = sums.m5;
  shared_memory[sums_place(group, 6u, chain)] = sums.m6;
  shared_memory[sums_place(group, 7u, chain)] = sums.m7;
}

fn sum_of_group(group: u32, m: u32, chain: u32, each: u32) -> f32 {
  return sum4(vec4<f32>(
    shared_memory[sums_place(group, m, chain)][each], shared_memory[sums_place(group, m, chain + 1u)][each],
    shared_memory[sums_place(group, m, chain + 2u)][each], shared_memory[sums_place(group, m, chain + 3u)][each]));
}

// Written out, as loops wait for each load.
fn sum_of_chains(group: u32, m: u32, each: u32) -> f32 {
  let a = sum_of_group(group, m, 0u, each);
  let b = sum_of_group(group, m, 4u, each);
  let c = sum_of_group(group, m, 8u, each);
  let d = sum_of_group(group, m, 12u, each);
  let e = sum_of_group(group, m, 16u, each);
  let f = sum_of_group(group, m, 20u, each);
  let g = sum_of_group(group, m, 24u, each);
  let h = sum_of_group(group, m, 28u, each);
  return ((((((a + b) + c) + d) + e) + f) + g) + h;
}

@compute @workgroup_size(32, GROUPS)
fn matvec_rows(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
               @builtin(local_invocation_index) index: u32) {
  let chain = lid.x;
  let row = (wid.y * GROUPS + lid.y) * EACH;
  let m0 = wid.x * COMPANY;
  // Of the sums that a group's lanes have, each lane finishes one.
  let m = chain / EACH;
  let b = m0 + m;
  let o = row + chain % EACH;
  let writes = b < params.rows && o < ROWS;
  var ending: Ending;
  if (writes) {
    ending = load_ending(b, ROW_START + o);
  }
  var sums: Sums;
  var own_chunk: Sums; // of quantized weights
  var chunks: Chunks;
  var next_chunks = load_chunks(row, chain);
  for (var piece = 0u; piece < TURNS * PAIRS; piece++) {
    let pair = piece % PAIRS;
    workgroupBarrier();
    store_piece(load_piece(m0, piece, index), index);
    workgroupBarrier();
    if (pair == 0u) {
      chunks = next_chunks;
      next_chunks = load_chunks(row, (piece / PAIRS + 1u) * CHAINS + chain);
    }
    if (is_quantized()) {
      own_chunk = plus_piece(own_chunk, chunks, pair, chain);
      if (pair == PAIRS - 1u) {
        sums = plus_scaled(sums, chunks.scales, own_chunk);
        own_chunk = Sums();
      }
    } else {
      sums = plus_piece(sums, chunks, pair, chain);
    }
  }
  var factor = 1.0;
  if (NORM) {
    factor = factor_of(m0, lid.y, chain, m);
  }
  for (var first = 0u; first < GROUPS; first += 2u) {
    let meets = lid.y / 2u == first / 2u;
    workgroupBarrier();
    if (meets) {
      store_sums(lid.y - first, chain, sums);
    }
    workgroupBarrier();
    if (meets && writes) {
      finish(b, ROW_START + o, sum_of_chains(lid.y - first, m, chain % EACH), factor, ending);
    }
  }
}
