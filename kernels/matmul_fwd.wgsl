// matmul_fwd: y[m, o] = sum_k x[m, k] weight[o, k] + bias[o], for many rows m (prefill, training).
//   Row m of x starts at x_offset + m * ld_x. RESIDUAL: y += instead of =.
// A workgroup of 256 lanes computes a tile (see _matmul) from slices of 16 columns of x and weight, transposed, and the
// next slice is on its way while one is used. Slices are stored with columns m / 4 permuted by k (see swizzled()): no
// two lanes meet in a bank. Sums run in order. Goes after _linear, _tile and _matmul.
// A weight may be split by rows over several buffers: this dispatch writes columns ROW_START to ROW_START + ROWS of y.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override WIDE: bool;
override X_ALIGNED: bool;  // D_IN, ld_x and x_offset are multiples of 4
override Y_ALIGNED: bool;  // ROWS, ROW_START and ld_y are multiples of 4
override BIAS: bool;
override RESIDUAL: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;       // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;    // (all rows of weight)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (rows, all rows of weight) at stride ld_y
@group(0) @binding(4) var<storage, read_write> y_elements: array<f32>; // the same, if not Y_ALIGNED: see write1()
@group(0) @binding(5) var<uniform> params: Params;

const PART = 128u; // a multiple of DEPTH

// What one lane brings of a slice: 4 columns of each of 4 rows. The first lanes bring x, as many others the weight; of
// a tile of 64 x 64 the rest have nothing to bring.
fn load(m0: u32, o0: u32, k0: u32, lane: u32) -> mat4x4<f32> {
  let blocks = tile_blocks();
  let row = lane / 4u % blocks * 4u;
  let k = k0 + lane % 4u * 4u;
  if (lane < 4u * blocks) {
    let m = m0 + row;
    return mat4x4<f32>(x_at(m, k), x_at(m + 1u, k), x_at(m + 2u, k), x_at(m + 3u, k));
  }
  if (lane < 8u * blocks) {
    let o = o0 + row;
    return mat4x4<f32>(weight_at(o, k), weight_at(o + 1u, k), weight_at(o + 2u, k), weight_at(o + 3u, k));
  }
  return mat4x4<f32>();
}

fn store(slice: mat4x4<f32>, lane: u32) {
  let blocks = tile_blocks();
  let block = lane / 4u % blocks;
  let k = lane % 4u * 4u;
  if (lane < 4u * blocks) {
    store_a_rows(block, k, slice);
  } else if (lane < 8u * blocks) {
    store_b_rows(block, k, slice);
  }
}

fn add_step(sums: Sums, k: u32, m4: u32, o4: u32) -> Sums {
  let a = swizzled(m4, k);
  let b = swizzled(o4, k);
  return plus_outers(sums, a_tile[k][a], a_tile[k][a + 16u], b_tile[k][b], b_tile[k][b + 16u]);
}

@compute @workgroup_size(256)
fn matmul_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * tile_side();
  let m0 = wid.y * tile_side();
  let o4 = lane % 16u;
  let m4 = lane / 16u;
  var sums: Sums;
  var earlier = mat4x4<f32>();
  var slice = load(m0, o0, 0u, lane);
  for (var k0 = 0u; k0 < D_IN; k0 += DEPTH) {
    store(slice, lane);
    workgroupBarrier();
    if (k0 + DEPTH < D_IN) {
      slice = load(m0, o0, k0 + DEPTH, lane);
    }
    sums = add_steps(sums, m4, o4);
    // A long sum's terms vanish beside it: parts of PART columns are added up apart. WIDE has no registers for that.
    if (!WIDE && k0 % PART == PART - DEPTH) {
      earlier += sums.s00;
      sums.s00 = mat4x4<f32>();
    }
    workgroupBarrier();
  }
  if (!WIDE) {
    sums.s00 = earlier + sums.s00;
  }
  write_sums(0u, m0 + m4 * 4u, o0 + o4 * 4u, sums);
}
