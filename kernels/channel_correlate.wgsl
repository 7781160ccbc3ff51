// channel_correlate: the gradient of a convolution's kernel within chunks: products of two panels' rows by their lag.
//   y[part, l, d] = sum over the part's columns c and over t >= l of p[c, t, d] q[c, t - l, d]
// Parts as in channel_outer. One lane per channel and 8 lags, past which the rows of q slide through registers: two
// loads for 8 products.
override D_MODEL: u32;
override ROWS: u32; // of a column, and lags

struct Params {
  chunks: u32,
  columns: u32,
  parts: u32,
  ld_batch: u32,
  ld_chunk: u32,
  offset: u32,
  limit: u32,
}

@group(0) @binding(0) var<storage, read> p: array<f32>;       // the panel (columns, ROWS, D_MODEL)
@group(0) @binding(1) var<storage, read> q: array<f32>;       // the same of another tensor
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (parts, ROWS, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;
const LAGS = 8u;

fn store_lags(part: u32, l: u32, d: u32, sums: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) {
    if (l + j < ROWS) {
      y[(part * ROWS + l + j) * D_MODEL + d] = sums[j];
    }
  }
}

@compute @workgroup_size(LANES)
fn channel_correlate(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let l = wid.y * LAGS;
  let part = wid.z;
  let panel = Panel(params.ld_batch, params.ld_chunk, params.offset, params.limit);
  let size = (params.columns + params.parts - 1u) / params.parts;
  var low = vec4<f32>(0.0);
  var high = vec4<f32>(0.0);
  for (var c = part * size; c < min((part + 1u) * size, params.columns); c++) {
    let start = column_start(panel, c);
    let rows = min(column_rows(panel, c), ROWS);
    // q at lags l to l + 3 and l + 4 to l + 7 before row t.
    var near = vec4<f32>(0.0);
    var far = vec4<f32>(0.0);
    for (var t = l; t < rows; t++) {
      far = vec4<f32>(near.w, far.xyz);
      near = vec4<f32>(q[(start + t - l) * D_MODEL + d], near.xyz);
      let v = p[(start + t) * D_MODEL + d];
      low += v * near;
      high += v * far;
    }
  }
  store_lags(part, l, d, low);
  store_lags(part, l + 4u, d, high);
}
