// matmul_bwd_x: grad_x[m, i] = sum_o grad_y[m, o] weight[o, i], the gradient of matmul_fwd's x.
//   Row m of grad_y starts at m * ld_y, of grad_x at x_offset + m * ld_x. ACCUMULATE: grad_x += instead of =.
// Tiles and sums are matmul_fwd's (see _matmul), with slices of 16 columns of grad_y, which are transposed, and of 16
// rows of weight, which are not.
override D_IN: u32;
override D_OUT: u32;
override W_STRIDE: u32;      // elements from row to row of weight, a multiple of 8; zeros beyond D_IN
override WIDE: bool;         // tiles of 128 x 128, not 64 x 64
override Y_ALIGNED: bool;    // D_OUT and ld_y are multiples of 4
override X_ALIGNED: bool;    // D_IN, ld_x and x_offset are multiples of 4
override ACCUMULATE: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> grad_y: array<vec4<f32>>;       // (rows, D_OUT) at stride ld_y
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;       // (D_OUT, W_STRIDE)
@group(0) @binding(2) var<storage, read_write> grad_x: array<vec4<f32>>; // (rows, D_IN) at stride ld_x
@group(0) @binding(3) var<storage, read_write> grad_x_elements: array<f32>; // the same, if not X_ALIGNED
@group(0) @binding(4) var<uniform> params: Params;

fn y_element(start: u32, o: u32) -> f32 {
  let i = start + min(o, D_OUT - 1u);
  return select(0.0, grad_y[i / 4u][i % 4u], o < D_OUT);
}

// Columns o to o + 3 of a row, zero past D_OUT. Rows past the end are the last one's copies, whose sums nobody writes.
fn y_at(m: u32, o: u32) -> vec4<f32> {
  let start = min(m, params.rows - 1u) * params.ld_y;
  if (Y_ALIGNED) {
    return select(vec4<f32>(0.0), grad_y[(start + min(o, D_OUT - 4u)) / 4u], o < D_OUT);
  }
  return vec4<f32>(y_element(start, o), y_element(start, o + 1u), y_element(start, o + 2u), y_element(start, o + 3u));
}

// Where grad_y is zero, past D_OUT, any row will do.
fn weight_at(o: u32, i: u32) -> vec4<f32> {
  return weight[(min(o, D_OUT - 1u) * W_STRIDE + min(i, W_STRIDE - 4u)) / 4u];
}

// What one lane brings of a slice: of grad_y 4 columns of each of 4 rows, or of weight 4 columns of 4 rows that are 4
// apart. The first lanes bring grad_y, as many others the weight, and of a tile of 64 x 64 the rest nothing.
fn load(m0: u32, i0: u32, o0: u32, lane: u32) -> mat4x4<f32> {
  let blocks = tile_blocks();
  if (lane < 4u * blocks) {
    let m = m0 + lane / 4u * 4u;
    let o = o0 + lane % 4u * 4u;
    return mat4x4<f32>(y_at(m, o), y_at(m + 1u, o), y_at(m + 2u, o), y_at(m + 3u, o));
  }
  if (lane < 8u * blocks) {
    let o = o0 + lane / blocks - 4u;
    let i = i0 + lane % blocks * 4u;
    return mat4x4<f32>(weight_at(o, i), weight_at(o + 4u, i), weight_at(o + 8u, i), weight_at(o + 12u, i));
  }
  return mat4x4<f32>();
}

fn store(slice: mat4x4<f32>, lane: u32) {
  let blocks = tile_blocks();
  if (lane < 4u * blocks) {
    store_a_rows(lane / 4u, lane % 4u * 4u, slice);
  } else if (lane < 8u * blocks) {
    let o = lane / blocks - 4u;
    let column = lane % blocks;
    b_tile[o][column] = slice[0];
    b_tile[o + 4u][column] = slice[1];
    b_tile[o + 8u][column] = slice[2];
    b_tile[o + 12u][column] = slice[3];
  }
}

fn add_step(sums: Sums, o: u32, m4: u32, i4: u32) -> Sums {
  let a = swizzled(m4, o);
  return plus_outers(sums, a_tile[o][a], a_tile[o][a + 16u], b_tile[o][i4], b_tile[o][i4 + 16u]);
}

// By elements: see matmul_fwd.
fn write1(at: u32, i: u32, sum: f32) {
  if (i < D_IN) {
    var value = sum;
    if (ACCUMULATE) {
      value += grad_x_elements[at];
    }
    grad_x_elements[at] = value;
  }
}

fn write4(first: u32, m: u32, i: u32, sum: vec4<f32>) {
  if (m >= params.rows || i >= D_IN) {
    return;
  }
  let at = params.x_offset + (first + m) * params.ld_x + i;
  if (X_ALIGNED) {
    var value = sum;
    if (ACCUMULATE) {
      value += grad_x[at / 4u];
    }
    grad_x[at / 4u] = value;
  } else {
    write1(at, i, sum.x);
    write1(at + 1u, i + 1u, sum.y);
    write1(at + 2u, i + 2u, sum.z);
    write1(at + 3u, i + 3u, sum.w);
  }
}

@compute @workgroup_size(256)
fn matmul_bwd_x(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i0 = wid.x * tile_side();
  let m0 = wid.y * tile_side();
  let i4 = lane % 16u;
  let m4 = lane / 16u;
  var sums: Sums;
  var slice = load(m0, i0, 0u, lane);
  for (var o0 = 0u; o0 < D_OUT; o0 += DEPTH) {
    store(slice, lane);
    workgroupBarrier();
    if (o0 + DEPTH < D_OUT) {
      slice = load(m0, i0, o0 + DEPTH, lane);
    }
    sums = add_steps(sums, m4, i4);
    workgroupBarrier();
  }
  write_sums(0u, m0 + m4 * 4u, i0 + i4 * 4u, sums);
}
