// channel_matmul: each channel's own matrix times the columns of a panel.
//   y[c, i, d] = sum_k W[i, k, d] x[c, k, d], added to what is there where ACCUMULATE
// W by FORM: 0 weight (OUTER, INNER, D_MODEL); 1 the transposed of weight (INNER, OUTER, D_MODEL); 2 a convolution,
// W[i, k] = weight[i - k] of (INNER, D_MODEL), 0 where k > i; 3 the transposed of it. What a panel has no row for is
// zero in x, and stays as it is in y. IN_PLACE: x is another part of y's tensor.
// One lane per channel, 8 rows and 4 columns: 12 loads for 32 products, each coalesced over the channels.
override D_MODEL: u32;
override OUTER: u32;
override INNER: u32;
override FORM: u32;
override ACCUMULATE: bool;
override IN_PLACE: bool;

struct Params {
  chunks: u32,
  columns: u32,
  x_ld_batch: u32,
  x_ld_chunk: u32,
  x_offset: u32,
  x_limit: u32,
  y_ld_batch: u32,
  y_ld_chunk: u32,
  y_offset: u32,
  y_limit: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // the panel (columns, INNER, D_MODEL), if not IN_PLACE
@group(0) @binding(1) var<storage, read> weight: array<f32>;  // (OUTER, INNER, D_MODEL) or as FORM says
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // the panel (columns, OUTER, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;
const ROWS = 8u;
const COLUMNS = 4u;

fn x_panel() -> Panel {
  return Panel(params.x_ld_batch, params.x_ld_chunk, params.x_offset, params.x_limit);
}

fn y_panel() -> Panel {
  return Panel(params.y_ld_batch, params.y_ld_chunk, params.y_offset, params.y_limit);
}

fn x_at(row: u32, d: u32, is_there: bool) -> f32 {
  if (!is_there) {
    return 0.0;
  }
  if (IN_PLACE) {
    return y[row * D_MODEL + d];
  }
  return x[row * D_MODEL + d];
}

// W[i, k] of channel d. Rows past the last repeat it: nothing of them is stored.
fn weight_at(i: u32, k: u32, d: u32) -> f32 {
  let row = min(i, OUTER - 1u);
  if (FORM == 0u) {
    return weight[(row * INNER + k) * D_MODEL + d];
  }
  if (FORM == 1u) {
    return weight[(k * OUTER + row) * D_MODEL + d];
  }
  let late = select(k, row, FORM == 2u);
  let early = select(row, k, FORM == 2u);
  return select(0.0, weight[(late - min(late, early)) * D_MODEL + d], late >= early);
}

// One row of the four columns from c on.
fn store_row(c: u32, i: u32, d: u32, sums: vec4<f32>) {
  for (var j = 0u; j < COLUMNS; j++) {
    if (i < OUTER && c + j < params.columns && i < column_rows(y_panel(), c + j)) {
      let at = (column_start(y_panel(), c + j) + i) * D_MODEL + d;
      y[at] = sums[j] + select(0.0, y[at], ACCUMULATE);
    }
  }
}

@compute @workgroup_size(LANES)
fn channel_matmul(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let i = wid.y * ROWS;
  let c = wid.z * COLUMNS;
  let last = params.columns - 1u;
  let start = vec4<u32>(
    column_start(x_panel(), c), column_start(x_panel(), min(c + 1u, last)),
    column_start(x_panel(), min(c + 2u, last)), column_start(x_panel(), min(c + 3u, last)));
  let rows = vec4<u32>(
    column_rows(x_panel(), c), column_rows(x_panel(), min(c + 1u, last)),
    column_rows(x_panel(), min(c + 2u, last)), column_rows(x_panel(), min(c + 3u, last)));
  var sum0 = vec4<f32>(0.0);
  var sum1 = sum0;
  var sum2 = sum0;
  var sum3 = sum0;
  var sum4 = sum0;
  var sum5 = sum0;
  var sum6 = sum0;
  var sum7 = sum0;
  // A convolution's other products are zeros.
  let first = select(0u, i, FORM == 3u);
  let end = select(INNER, min(INNER, i + ROWS), FORM == 2u);
  for (var k = first; k < end; k++) {
    let v = vec4<f32>(
      x_at(start.x + k, d, k < rows.x), x_at(start.y + k, d, k < rows.y),
      x_at(start.z + k, d, k < rows.z), x_at(start.w + k, d, k < rows.w));
    sum0 += weight_at(i, k, d) * v;
    sum1 += weight_at(i + 1u, k, d) * v;
    sum2 += weight_at(i + 2u, k, d) * v;
    sum3 += weight_at(i + 3u, k, d) * v;
    sum4 += weight_at(i + 4u, k, d) * v;
    sum5 += weight_at(i + 5u, k, d) * v;
    sum6 += weight_at(i + 6u, k, d) * v;
    sum7 += weight_at(i + 7u, k, d) * v;
  }
  store_row(c, i, d, sum0);
  store_row(c, i + 1u, d, sum1);
  store_row(c, i + 2u, d, sum2);
  store_row(c, i + 3u, d, sum3);
  store_row(c, i + 4u, d, sum4);
  store_row(c, i + 5u, d, sum5);
  store_row(c, i + 6u, d, sum6);
  store_row(c, i + 7u, d, sum7);
}
