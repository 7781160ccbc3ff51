// matvec_groups: sums of chains, for some rows of x: the products of many sequences' steps, before matvec_finish adds
// them up.
//   sums[s, m, o] = sum of weight[o, k] x[m, k] over k in share s        x times norm_weight first if NORM
//   A share is that of SHARES workgroups, so that few rows keep a device busy too: a chain, a group of chains or all.
// In the order that _chains says: place p of a sum is the column that comes p-th in it. Tiles of 64 x 64 (see _matmul),
// whose slices are of 16 places; two of them are in workgroup memory at once, side by side.
// Row m of x starts at x_offset + m * ld_x.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROWS: u32;
override WIDE: bool;       // of _matmul: false
override X_ALIGNED: bool;  // D_IN, ld_x and x_offset are multiples of 4
override NORM: bool;
override SHARES: u32;      // 1, 8 or 32

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;        // (SHARES, rows, ROWS)
@group(0) @binding(4) var<uniform> params: Params;

const SLICE = 16u;

// Places of a chunk and of a chain.
fn chunk_places() -> u32 {
  return chunk_quads() * 4u;
}

fn chain_places() -> u32 {
  let chunks = W_STRIDE / chunk_places();
  return (chunks + CHAINS - 1u) / CHAINS * chunk_places();
}

// The column of a place, which may lie past D_IN, as chains are of one length.
fn column_of(place: u32) -> u32 {
  let within = place % chain_places();
  let chunk = within / chunk_places() * CHAINS + place / chain_places();
  return chunk * chunk_places() + place % chunk_places();
}

fn x_element(start: u32, k: u32) -> f32 {
  let i = start + min(k, D_IN - 1u);
  return select(0.0, x[i / 4u][i % 4u], k < D_IN);
}

// norm_weight is one tensor, which starts aligned; beyond D_IN it may hold anything, and x is zero there.
fn norm_weight_at(i: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), norm_weight[i / 4u], vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN));
}

// Columns k to k + 3 of a row, zero past D_IN. Rows past the end are the last one's copies, whose sums nobody writes.
fn x_at(m: u32, k: u32) -> vec4<f32> {
  let start = params.x_offset + min(m, params.rows - 1u) * params.ld_x;
  var values: vec4<f32>;
  if (X_ALIGNED) {
    values = select(vec4<f32>(0.0), x[(start + min(k, D_IN - 4u)) / 4u], k < D_IN);
  } else {
    values = vec4<f32>(
      x_element(start, k), x_element(start, k + 1u), x_element(start, k + 2u), x_element(start, k + 3u));
  }
  if (NORM) {
    values *= norm_weight_at(k);
  }
  return values;
}

// Without scales. Where x is zero, past D_IN, any element of the row will do.
fn weight_at(o: u32, k: u32) -> vec4<f32> {
  let element = min(o, ROWS - 1u) * W_STRIDE + min(k, W_STRIDE - 4u);
  if (W_DTYPE == DTYPE_F32) {
    return bitcast<vec4<f32>>(weight[element / 4u]);
  }
  if (W_DTYPE == DTYPE_INT8) {
    return unpack_int8(weight[element / 16u][element / 4u % 4u]);
  }
  if (W_DTYPE == DTYPE_INT4) {
    return unpack_int4(weight[element / 32u][element / 8u % 4u] >> (element % 8u));
  }
  let words = weight[element / 8u];
  let half = select(words.xy, words.zw, element % 8u == 4u);
  if (W_DTYPE == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

fn scale_of(o: u32, k: u32) -> f32 {
  return scale_at(min(o, ROWS - 1u), k);
}

// What one lane brings of two slices: 4 columns of each of 4 rows. 64 lanes bring x of the first, 64 of the second, and
// as many others the weight.
fn load(m0: u32, o0: u32, first: u32, end: u32, lane: u32) -> mat4x4<f32> {
  let row = lane / 4u % 16u * 4u;
  let place = first + lane / 64u % 2u * SLICE + lane % 4u * 4u;
  let k = select(W_STRIDE, column_of(place), place < end);
  if (lane < 128u) {
    let m = m0 + row;
    return mat4x4<f32>(x_at(m, k), x_at(m + 1u, k), x_at(m + 2u, k), x_at(m + 3u, k));
  }
  let o = o0 + row;
  return mat4x4<f32>(weight_at(o, k), weight_at(o + 1u, k), weight_at(o + 2u, k), weight_at(o + 3u, k));
}

// The second slice is where a wider tile has its further columns.
fn store(slice: mat4x4<f32>, lane: u32) {
  let block = lane / 4u % 32u;
  let k = lane % 4u * 4u;
  if (lane < 128u) {
    store_a_rows(block, k, slice);
  } else {
    store_b_rows(block, k, slice);
  }
}

fn add_step(sums: Sums, k: u32, m4: u32, o4: u32) -> Sums {
  let a = a_tile[k][swizzled(m4, k)];
  let b = b_tile[k][swizzled(o4, k)];
  var next = sums;
  next.s00 = mat4x4<f32>(fma(vec4<f32>(a.x), b, sums.s00[0]), fma(vec4<f32>(a.y), b, sums.s00[1]),
                         fma(vec4<f32>(a.z), b, sums.s00[2]), fma(vec4<f32>(a.w), b, sums.s00[3]));
  return next;
}

// A lane's sums of the chunk, the chain and the group that it is at, and of the groups before.
struct Running {
  chunk: mat4x4<f32>, // of quantized weights alone
  chain: mat4x4<f32>,
  group: mat4x4<f32>,
  total: mat4x4<f32>,
}

fn plus_scaled(chain: mat4x4<f32>, chunk: mat4x4<f32>, o: u32, k: u32) -> mat4x4<f32> {
  let scale = vec4<f32>(scale_of(o, k), scale_of(o + 1u, k), scale_of(o + 2u, k), scale_of(o + 3u, k));
  return mat4x4<f32>(fma(scale, chunk[0], chain[0]), fma(scale, chunk[1], chain[1]),
                     fma(scale, chunk[2], chain[2]), fma(scale, chunk[3], chain[3]));
}

// With four places more, which begin at `place`, and are from k on in workgroup memory.
fn plus_places(running: Running, place: u32, k: u32, m4: u32, o4: u32, o: u32) -> Running {
  var next = running;
  var sums: Sums;
  if (is_quantized()) {
    sums.s00 = running.chunk;
    next.chunk = add_4_steps(sums, k, m4, o4).s00;
    if ((place + 4u) % chunk_places() == 0u) {
      let column = min(column_of(place), W_STRIDE - 1u);
      next.chain = plus_scaled(running.chain, next.chunk, o, column);
      next.chunk = mat4x4<f32>();
    }
  } else {
    sums.s00 = running.chain;
    next.chain = add_4_steps(sums, k, m4, o4).s00;
  }
  if ((place + 4u) % chain_places() == 0u) {
    next.group = running.group + next.chain;
    next.chain = mat4x4<f32>();
    if (ends_group(place / chain_places())) {
      next.total = running.total + next.group;
      next.group = mat4x4<f32>();
    }
  }
  return next;
}

fn write4(first: u32, m: u32, o: u32, values: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) {
    if (m < params.rows && o + j < ROWS) {
      sums[(first + m) * ROWS + o + j] = values[j];
    }
  }
}

@compute @workgroup_size(256)
fn matvec_groups(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * 64u;
  let m0 = wid.y * 64u;
  let o4 = lane % 16u;
  let m4 = lane / 16u;
  let o = o0 + o4 * 4u;
  let places = CHAINS / SHARES * chain_places();
  let begin = wid.z * places;
  var running: Running;
  var slice = load(m0, o0, begin, begin + places, lane);
  for (var place = begin; place < begin + places; place += 2u * SLICE) {
    store(slice, lane);
    workgroupBarrier();
    if (place + 2u * SLICE < begin + places) {
      slice = load(m0, o0, place + 2u * SLICE, begin + places, lane);
    }
    for (var i = 0u; i < min(2u * SLICE, begin + places - place); i += 4u) {
      let side = i / SLICE * 16u;
      running = plus_places(running, place + i, i % SLICE, m4 + side, o4 + side, o);
    }
    workgroupBarrier();
  }
  // What is beyond a share's last place is zero: of one that ends within a group, all is in there.
  write_block(wid.z * params.rows, m0 + m4 * 4u, o, running.total + running.group);
}
