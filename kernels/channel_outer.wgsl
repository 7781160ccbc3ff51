// channel_outer: the gradient of channel_matmul's weight: products of two panels' rows, added up over their columns.
//   y[part, i, k, d] = sum over the part's columns c of p[c, i, d] q[c, k, d]
// Each part has its own columns, and sum_partials adds them up: no order depends on the device. Rows that a panel
// does not have are zeros. One lane per channel, 8 rows of p and 4 of q.
override D_MODEL: u32;
override OUTER: u32;
override INNER: u32;

struct Params {
  chunks: u32,
  columns: u32,
  parts: u32,
  p_ld_batch: u32,
  p_ld_chunk: u32,
  p_offset: u32,
  p_limit: u32,
  q_ld_batch: u32,
  q_ld_chunk: u32,
  q_offset: u32,
  q_limit: u32,
}

@group(0) @binding(0) var<storage, read> p: array<f32>;       // the panel (columns, OUTER, D_MODEL)
@group(0) @binding(1) var<storage, read> q: array<f32>;       // the panel (columns, INNER, D_MODEL)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (parts, OUTER, INNER, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;
const ROWS = 8u;
const COLUMNS = 4u;

fn p_at(start: u32, rows: u32, i: u32, d: u32) -> f32 {
  if (i >= min(rows, OUTER)) {
    return 0.0;
  }
  return p[(start + i) * D_MODEL + d];
}

fn q_at(start: u32, rows: u32, k: u32, d: u32) -> f32 {
  if (k >= min(rows, INNER)) {
    return 0.0;
  }
  return q[(start + k) * D_MODEL + d];
}

fn store_row(part: u32, i: u32, k: u32, d: u32, sums: vec4<f32>) {
  for (var j = 0u; j < COLUMNS; j++) {
    if (i < OUTER && k + j < INNER) {
      y[((part * OUTER + i) * INNER + k + j) * D_MODEL + d] = sums[j];
    }
  }
}

@compute @workgroup_size(LANES)
fn channel_outer(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let tiles = (INNER + COLUMNS - 1u) / COLUMNS;
  let i = wid.y / tiles * ROWS;
  let k = wid.y % tiles * COLUMNS;
  let part = wid.z;
  let p_panel = Panel(params.p_ld_batch, params.p_ld_chunk, params.p_offset, params.p_limit);
  let q_panel = Panel(params.q_ld_batch, params.q_ld_chunk, params.q_offset, params.q_limit);
  let size = (params.columns + params.parts - 1u) / params.parts;
  var sum0 = vec4<f32>(0.0);
  var sum1 = sum0;
  var sum2 = sum0;
  var sum3 = sum0;
  var sum4 = sum0;
  var sum5 = sum0;
  var sum6 = sum0;
  var sum7 = sum0;
  for (var c = part * size; c < min((part + 1u) * size, params.columns); c++) {
    let ps = column_start(p_panel, c);
    let pr = column_rows(p_panel, c);
    let qs = column_start(q_panel, c);
    let qr = column_rows(q_panel, c);
    let v = vec4<f32>(
      q_at(qs, qr, k, d), q_at(qs, qr, k + 1u, d), q_at(qs, qr, k + 2u, d), q_at(qs, qr, k + 3u, d));
    sum0 += p_at(ps, pr, i, d) * v;
    sum1 += p_at(ps, pr, i + 1u, d) * v;
    sum2 += p_at(ps, pr, i + 2u, d) * v;
    sum3 += p_at(ps, pr, i + 3u, d) * v;
    sum4 += p_at(ps, pr, i + 4u, d) * v;
    sum5 += p_at(ps, pr, i + 5u, d) * v;
    sum6 += p_at(ps, pr, i + 6u, d) * v;
    sum7 += p_at(ps, pr, i + 7u, d) * v;
  }
  store_row(part, i, k, d, sum0);
  store_row(part, i + 1u, k, d, sum1);
  store_row(part, i + 2u, k, d, sum2);
  store_row(part, i + 3u, k, d, sum3);
  store_row(part, i + 4u, k, d, sum4);
  store_row(part, i + 5u, k, d, sum5);
  store_row(part, i + 6u, k, d, sum6);
  store_row(part, i + 7u, k, d, sum7);
}
