// matvec_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for few rows b: what one step spends its time on.
//   With norm, residual and conv1d as _matvec says, in the order of sums that _chains says.
// A workgroup is CHAINS x GROUPS lanes: a lane has a chain of each of EACH rows of weight. The workgroup lays x out in
// its memory, while the weights of AT_ONCE turns are on their way. The grid is (row blocks, b).
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override EACH: u32;        // 2 or 4
override GROUPS: u32;
override AT_ONCE: u32;     // turns, up to 6
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
// The same as chunk_quads(), as memory is made of it.
override QUADS: u32 = select(select(select(2u, 4u, W_DTYPE == 3u), 8u, W_DTYPE == 4u), 1u, W_DTYPE == 0u);
override CHUNKS: u32 = W_STRIDE / (4u * QUADS); // of a row
override TURNS: u32 = (CHUNKS + 31u) / 32u;     // chunks of a chain
override TURN: u32 = 32u * QUADS;               // vec4s of x that all chains take at a time

struct Params {
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (batch, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(4) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(5) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(6) var<storage, read_write> conv_state: array<f32>;  // (batch, D_INNER, D_CONV), newest last
@group(0) @binding(7) var<storage, read_write> y: array<f32>;           // (batch, all rows) at stride ld_y
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> inputs: array<vec4<f32>, AT_ONCE * TURN>;         // see place_of()
var<workgroup> terms: array<f32, select(1u, AT_ONCE * TURN, NORM)>; // their squares
var<workgroup> chains: array<f32, GROUPS * EACH * (CHAINS + 1u)>; // of each row; one apart, for the banks' sake
var<workgroup> squares: array<f32, CHAINS>;

// norm_weight is one tensor, which starts aligned; beyond D_IN it may hold anything, and x is zero there.
fn norm_weight_at(i: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), norm_weight[i / 4u], vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN));
}

// Where four columns of a chunk lie in `inputs`: moved, so that neither 8 lanes that write side by side meet in a bank,
// nor 8 that read the same four of chunks side by side.
fn place_of(chunk: u32, quad: u32) -> u32 {
  return chunk * QUADS + (quad ^ (chunk * QUADS / 8u % QUADS));
}

fn stage(start: u32, turn: u32, index: u32) {
  for (var i = index; i < min(AT_ONCE, TURNS - turn) * TURN; i += CHAINS * GROUPS) {
    let column = (turn * TURN + i) * 4u;
    var values = x_at(start, column);
    if (NORM) {
      terms[i] = square_of(values);
      values *= norm_weight_at(column);
    }
    inputs[place_of(i / QUADS, i % QUADS)] = values;
  }
}

// A chunk of each of a lane's rows; zeros past the last one.
struct Chunks {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>,
  scales: vec4<f32>,
}

fn load_chunks(rows: vec4<u32>, chunk: u32, wanted: bool) -> Chunks {
  var chunks: Chunks;
  if (wanted && chunk < CHUNKS) {
    chunks.a = weight[rows.x * CHUNKS + chunk];
    chunks.b = weight[rows.y * CHUNKS + chunk];
    if (EACH == 4u) {
      chunks.c = weight[rows.z * CHUNKS + chunk];
      chunks.d = weight[rows.w * CHUNKS + chunk];
    }
    if (is_quantized()) {
      let column = chunk * 4u * QUADS;
      chunks.scales.x = scale_at(rows.x, column);
      chunks.scales.y = scale_at(rows.y, column);
      if (EACH == 4u) {
        chunks.scales.z = scale_at(rows.z, column);
        chunks.scales.w = scale_at(rows.w, column);
      }
    }
  }
  return chunks;
}

// What four columns of each row add.
fn plus_quad(sums: vec4<f32>, v: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
  if (EACH == 4u) {
    return vec4<f32>(
      plus_dot(sums.x, v, a), plus_dot(sums.y, v, b), plus_dot(sums.z, v, c), plus_dot(sums.w, v, d));
  }
  return vec4<f32>(plus_dot(sums.x, v, a), plus_dot(sums.y, v, b), 0.0, 0.0);
}

fn plus_int8(sums: vec4<f32>, v: vec4<f32>, a: u32, b: u32, c: u32, d: u32) -> vec4<f32> {
  return plus_quad(sums, v, unpack_int8(a), unpack_int8(b), unpack_int8(c), unpack_int8(d));
}

fn plus_int4(sums: vec4<f32>, chunk: u32, quad: u32, a: u32, b: u32, c: u32, d: u32) -> vec4<f32> {
  let low = plus_quad(sums, inputs[place_of(chunk, quad)],
                      unpack_int4(a), unpack_int4(b), unpack_int4(c), unpack_int4(d));
  return plus_quad(low, inputs[place_of(chunk, quad + 1u)],
                   unpack_int4(a >> 4u), unpack_int4(b >> 4u), unpack_int4(c >> 4u), unpack_int4(d >> 4u));
}

fn plus_halves(sums: vec4<f32>, v: vec4<f32>, a: vec2<u32>, b: vec2<u32>, c: vec2<u32>, d: vec2<u32>) -> vec4<f32> {
  if (W_DTYPE == DTYPE_F16) {
    return plus_quad(sums, v, unpack_f16(a), unpack_f16(b), unpack_f16(c), unpack_f16(d));
  }
  return plus_quad(sums, v, unpack_bf16(a), unpack_bf16(b), unpack_bf16(c), unpack_bf16(d));
}

// What a chunk of each row adds to its chain; of quantized weights, its own sum. `chunk` is one of those in `inputs`.
fn plus_chunk(sums: vec4<f32>, w: Chunks, chunk: u32) -> vec4<f32> {
  let v = inputs[place_of(chunk, 0u)];
  if (W_DTYPE == DTYPE_F32) {
    return plus_quad(sums, v, bitcast<vec4<f32>>(w.a), bitcast<vec4<f32>>(w.b), bitcast<vec4<f32>>(w.c),
                     bitcast<vec4<f32>>(w.d));
  }
  if (W_DTYPE == DTYPE_INT8) {
    var part = plus_int8(sums, v, w.a.x, w.b.x, w.c.x, w.d.x);
    part = plus_int8(part, inputs[place_of(chunk, 1u)], w.a.y, w.b.y, w.c.y, w.d.y);
    part = plus_int8(part, inputs[place_of(chunk, 2u)], w.a.z, w.b.z, w.c.z, w.d.z);
    return plus_int8(part, inputs[place_of(chunk, 3u)], w.a.w, w.b.w, w.c.w, w.d.w);
  }
  if (W_DTYPE == DTYPE_INT4) {
    var part = plus_int4(sums, chunk, 0u, w.a.x, w.b.x, w.c.x, w.d.x);
    part = plus_int4(part, chunk, 2u, w.a.y, w.b.y, w.c.y, w.d.y);
    part = plus_int4(part, chunk, 4u, w.a.z, w.b.z, w.c.z, w.d.z);
    return plus_int4(part, chunk, 6u, w.a.w, w.b.w, w.c.w, w.d.w);
  }
  let part = plus_halves(sums, v, w.a.xy, w.b.xy, w.c.xy, w.d.xy);
  return plus_halves(part, inputs[place_of(chunk, 1u)], w.a.zw, w.b.zw, w.c.zw, w.d.zw);
}

fn plus_chunks(sums: vec4<f32>, chunks: Chunks, chunk: u32) -> vec4<f32> {
  if (is_quantized()) {
    return fma(chunks.scales, plus_chunk(vec4<f32>(0.0), chunks, chunk), sums);
  }
  return plus_chunk(sums, chunks, chunk);
}

// There is one row of x: the 0-th.
fn squares4(i: u32, chain: u32) -> vec4<f32> {
  return vec4<f32>(squares[i + chain], squares[i + chain + 1u], squares[i + chain + 2u], squares[i + chain + 3u]);
}

// The sum of four chains from i on.
fn group_at(i: u32) -> f32 {
  return sum4(vec4<f32>(chains[i], chains[i + 1u], chains[i + 2u], chains[i + 3u]));
}

// Written out, as loops wait for each load.
fn sum_of_chains(i: u32) -> f32 {
  let half = ((group_at(i) + group_at(i + 4u)) + group_at(i + 8u)) + group_at(i + 12u);
  return (((half + group_at(i + 16u)) + group_at(i + 20u)) + group_at(i + 24u)) + group_at(i + 28u);
}

@compute @workgroup_size(CHAINS, GROUPS)
fn matvec_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
              @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let chain = lid.x;
  let row = (wid.x * GROUPS + lid.y) * EACH;
  let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(ROWS - 1u));
  let start = params.x_offset + b * params.ld_x;
  let writes = chain < EACH && row + chain < ROWS;
  var sums = vec4<f32>(0.0);
  var square = 0.0;
  var ending: Ending;
  for (var turn = 0u; turn < TURNS; turn += AT_ONCE) {
    let chunk = turn * CHAINS + chain;
    let w0 = load_chunks(rows, chunk, true);
    let w1 = load_chunks(rows, chunk + CHAINS, AT_ONCE > 1u);
    let w2 = load_chunks(rows, chunk + 2u * CHAINS, AT_ONCE > 2u);
    let w3 = load_chunks(rows, chunk + 3u * CHAINS, AT_ONCE > 3u);
    let w4 = load_chunks(rows, chunk + 4u * CHAINS, AT_ONCE > 4u);
    let w5 = load_chunks(rows, chunk + 5u * CHAINS, AT_ONCE > 5u);
    if (turn == 0u && writes) {
      ending = load_ending(b, ROW_START + row + chain);
    }
    if (turn > 0u) {
      workgroupBarrier();
    }
    stage(start, turn, index);
    workgroupBarrier();
    sums = plus_chunks(sums, w0, chain);
    if (AT_ONCE > 1u && turn + 1u < TURNS) {
      sums = plus_chunks(sums, w1, chain + CHAINS);
    }
    if (AT_ONCE > 2u && turn + 2u < TURNS) {
      sums = plus_chunks(sums, w2, chain + 2u * CHAINS);
    }
    if (AT_ONCE > 3u && turn + 3u < TURNS) {
      sums = plus_chunks(sums, w3, chain + 3u * CHAINS);
    }
    if (AT_ONCE > 4u && turn + 4u < TURNS) {
      sums = plus_chunks(sums, w4, chain + 4u * CHAINS);
    }
    if (AT_ONCE > 5u && turn + 5u < TURNS) {
      sums = plus_chunks(sums, w5, chain + 5u * CHAINS);
    }
    if (NORM && lid.y == 0u) {
      for (var i = chain; i < min(AT_ONCE, TURNS - turn) * TURN; i += CHAINS) {
        square += terms[i];
      }
    }
  }
  let place = lid.y * EACH * (CHAINS + 1u) + chain;
  chains[place] = sums.x;
  chains[place + CHAINS + 1u] = sums.y;
  if (EACH == 4u) {
    chains[place + 2u * (CHAINS + 1u)] = sums.z;
    chains[place + 3u * (CHAINS + 1u)] = sums.w;
  }
  if (lid.y == 0u) {
    squares[chain] = square;
  }
  workgroupBarrier();
  if (writes) {
    var factor = 1.0;
    if (NORM) {
      factor = norm_factor(0u);
    }
    let sum = sum_of_chains((lid.y * EACH + chain) * (CHAINS + 1u));
    finish(b, ROW_START + row + chain, sum, factor, ending);
  }
}
