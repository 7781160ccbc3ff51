// matmul_bwd_w: partials[part, o, i] = sum_m grad_y[m, o] x[m, i] over the part's rows m, for the gradient of a weight.
//   Row m of grad_y starts at m * ld_y, of x at x_offset + m * ld_x. Part p has rows p * rows_per_part on.
//   ACCUMULATE: += instead of =, where the only part is the gradient itself.
// Rows are many and the weight is small: without parts, most of a device would stand idle. sum_partials follows.
// Tiles and sums are matmul_fwd's (see _matmul), with slices of 16 rows of grad_y and x, neither of them transposed.
override D_IN: u32;
override D_OUT: u32;
override W_STRIDE: u32;      // elements from row to row of a part, a multiple of 8; zeros are written beyond D_IN
override WIDE: bool;         // tiles of 128 x 128, not 64 x 64
override Y_ALIGNED: bool;    // D_OUT and ld_y are multiples of 4
override X_ALIGNED: bool;    // D_IN, ld_x and x_offset are multiples of 4
override ACCUMULATE: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
  rows_per_part: u32,
}

@group(0) @binding(0) var<storage, read> grad_y: array<vec4<f32>>;         // (rows, D_OUT) at stride ld_y
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;              // (rows, D_IN) at stride ld_x
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>; // (parts, D_OUT, W_STRIDE)
@group(0) @binding(3) var<uniform> params: Params;

// What one lane brings of a slice: 4 columns of two rows, 8 apart.
struct Slice {
  y0: vec4<f32>,
  y1: vec4<f32>,
  x0: vec4<f32>,
  x1: vec4<f32>,
}

fn y_element(start: u32, o: u32) -> f32 {
  let i = start + min(o, D_OUT - 1u);
  return grad_y[i / 4u][i % 4u];
}

// Columns o to o + 3 of a row, zero past the part's last row. Columns past D_OUT are copies, whose sums nobody writes.
fn y_at(m: u32, end: u32, o: u32) -> vec4<f32> {
  let start = min(m, end - 1u) * params.ld_y;
  if (Y_ALIGNED) {
    return select(vec4<f32>(0.0), grad_y[(start + min(o, D_OUT - 4u)) / 4u], m < end);
  }
  let values = vec4<f32>(y_element(start, o), y_element(start, o + 1u), y_element(start, o + 2u),
                         y_element(start, o + 3u));
  return select(vec4<f32>(0.0), values, m < end);
}

fn x_element(start: u32, i: u32) -> f32 {
  let at = start + min(i, D_IN - 1u);
  return select(0.0, x[at / 4u][at % 4u], i < D_IN);
}

// Columns i to i + 3 of a row, zero past D_IN. Where grad_y is zero, past the last row, any row will do.
fn x_at(m: u32, end: u32, i: u32) -> vec4<f32> {
  let start = params.x_offset + min(m, end - 1u) * params.ld_x;
  if (X_ALIGNED) {
    return select(vec4<f32>(0.0), x[(start + min(i, D_IN - 4u)) / 4u], i < D_IN);
  }
  return vec4<f32>(x_element(start, i), x_element(start, i + 1u), x_element(start, i + 2u), x_element(start, i + 3u));
}

fn load(m0: u32, end: u32, o0: u32, i0: u32, lane: u32) -> Slice {
  let across = tile_blocks();
  let m = m0 + lane / across;
  let column = lane % across * 4u;
  var slice: Slice;
  slice.y0 = y_at(m, end, o0 + column);
  slice.x0 = x_at(m, end, i0 + column);
  if (WIDE) {
    slice.y1 = y_at(m + 8u, end, o0 + column);
    slice.x1 = x_at(m + 8u, end, i0 + column);
  }
  return slice;
}

fn store(slice: Slice, lane: u32) {
  let across = tile_blocks();
  a_tile[lane / across][lane % across] = slice.y0;
  b_tile[lane / across][lane % across] = slice.x0;
  if (WIDE) {
    a_tile[lane / across + 8u][lane % across] = slice.y1;
    b_tile[lane / across + 8u][lane % across] = slice.x1;
  }
}

fn add_step(sums: Sums, m: u32, o4: u32, i4: u32) -> Sums {
  return plus_outers(sums, a_tile[m][o4], a_tile[m][o4 + 16u], b_tile[m][i4], b_tile[m][i4 + 16u]);
}

fn write4(first: u32, o: u32, i: u32, sum: vec4<f32>) {
  if (o >= D_OUT || i >= W_STRIDE) {
    return;
  }
  let at = ((first + o) * W_STRIDE + i) / 4u;
  var value = sum;
  if (ACCUMULATE) {
    value += partials[at];
  }
  // The padding stays zero even where grad_y is not finite.
  partials[at] = select(vec4<f32>(0.0), value, vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(D_IN));
}

@compute @workgroup_size(256)
fn matmul_bwd_w(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i0 = wid.x * tile_side();
  let o0 = wid.y * tile_side();
  let start = wid.z * params.rows_per_part;
  let end = min(start + params.rows_per_part, params.rows);
  let i4 = lane % 16u;
  let o4 = lane / 16u;
  var sums: Sums;
  var slice = load(start, end, o0, i0, lane);
  for (var m0 = start; m0 < end; m0 += DEPTH) {
    store(slice, lane);
    workgroupBarrier();
    if (m0 + DEPTH < end) {
      slice = load(m0 + DEPTH, end, o0, i0, lane);
    }
    sums = add_steps(sums, o4, i4);
    workgroupBarrier();
  }
  write_sums(wid.z * D_OUT, o0 + o4 * 4u, i0 + i4 * 4u, sums);
}
