// matmul_fwd: y[m, o] = sum_k x[m, k] weight[o, k] + bias[o], for many rows m (prefill, training).
//   Row m of x starts at x_offset + m * ld_x. RESIDUAL: y += instead of =.
// A workgroup of 256 lanes computes a tile (see _matmul) from slices of 16 columns of x and weight, transposed, and the
// next slice is on its way while one is used. Slices are stored with columns m / 4 permuted by k (see swizzled()): no
// two lanes meet in a bank. Sums run in order, whatever the tile. Goes after _linear, _tile and _matmul.
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
override BRINGING: u32 = select(64u, 128u, WIDE); // lanes that bring x, and as many the weight
override WHOLE: bool = D_IN % 16u == 0u;          // whether the last slice is as long as the others

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

// Where the four rows begin of which a lane brings 4 columns of each slice: the first lanes have x's, as many others
// the weight's; of a tile of 64 x 64 the rest have nothing to bring.
fn starts_of(m0: u32, o0: u32, lane: u32) -> vec4<u32> {
  let rows = lane / 4u % tile_blocks() * 4u + vec4<u32>(0u, 1u, 2u, 3u);
  if (lane < BRINGING) {
    return x_starts(m0 + rows);
  }
  return weight_starts(o0 + rows);
}

fn load(starts: vec4<u32>, k0: u32, lane: u32) -> mat4x4<f32> {
  let k = k0 + lane % 4u * 4u;
  if (lane < BRINGING) {
    return mat4x4<f32>(x_at(starts.x, k), x_at(starts.y, k), x_at(starts.z, k), x_at(starts.w, k));
  }
  if (lane < 2u * BRINGING) {
    return mat4x4<f32>(weight_at(starts.x, k), weight_at(starts.y, k), weight_at(starts.z, k), weight_at(starts.w, k));
  }
  return mat4x4<f32>();
}

fn store(slice: mat4x4<f32>, lane: u32) {
  let block = lane / 4u % tile_blocks();
  let k = lane % 4u * 4u;
  if (lane < BRINGING) {
    store_a_rows(block, k, slice);
  } else if (lane < 2u * BRINGING) {
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
  let starts = starts_of(m0, o0, lane);
  var sums: Sums;
  var slice = load(starts, 0u, lane);
  for (var k0 = 0u; k0 < D_IN; k0 += DEPTH) {
    store(slice, lane);
    workgroupBarrier();
    if (k0 + DEPTH < D_IN) {
      slice = load(starts, k0 + DEPTH, lane);
    }
    sums = add_steps(sums, m4, o4);
    workgroupBarrier();
  }
  write_sums(0u, m0 + m4 * 4u, o0 + o4 * 4u, sums);
}
