// selective_scan_rows: what selective_scan_step computes, for the steps of many sequences.
//   dt = softplus(dt_weight dt_low + dt_bias)      A = -exp(A_log)
//   h = exp(dt A) h + dt B u        y = (C . h + D u) silu(z)
// In the order of sums that _scan_step and _states say. A lane has a channel of EACH rows, so that weights are read
// once for all of these, and needs nobody else: what all lanes read of the rows is laid out in workgroup memory, a vec4
// of EACH rows for each column. The grid is (blocks of LANES channels, blocks of EACH rows).
override D_INNER: u32;
override D_STATE: u32;   // a multiple of 4
override DT_RANK: u32;   // likewise
override W_STRIDE: u32;  // elements from row to row of dt_weight, zeros beyond DT_RANK
override W_DTYPE: u32;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> xz: array<f32>;                    // (rows, 2 D_INNER): u, then z
@group(0) @binding(1) var<storage, read> x_dbl: array<f32>;                 // (rows, DT_RANK + 2 D_STATE): dt_low, B, C
@group(0) @binding(2) var<storage, read> dt_weight: array<vec4<u32>>;       // (D_INNER, W_STRIDE), packed
@group(0) @binding(3) var<storage, read> dt_bias: array<f32>;               // (D_INNER)
@group(0) @binding(4) var<storage, read> A_log: array<vec4<f32>>;           // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;                     // (D_INNER)
@group(0) @binding(6) var<storage, read_write> ssm_state: array<vec4<f32>>; // (rows, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;               // (rows, D_INNER)
@group(0) @binding(8) var<uniform> params: Params;

const LANES = 64u;
const EACH = 4u;
var<workgroup> columns: array<vec4<f32>, W_STRIDE + 2u * D_STATE>; // [dt_low, zeros, B, C]

fn stage(row: u32, lane: u32) {
  let width = DT_RANK + 2u * D_STATE;
  let last = params.rows - 1u;
  for (var i = lane; i < W_STRIDE + 2u * D_STATE; i += LANES) {
    let column = select(i - (W_STRIDE - DT_RANK), i, i < W_STRIDE);
    var values = vec4<f32>(0.0);
    if (i < DT_RANK || i >= W_STRIDE) {
      values = vec4<f32>(x_dbl[min(row, last) * width + column], x_dbl[min(row + 1u, last) * width + column],
                         x_dbl[min(row + 2u, last) * width + column], x_dbl[min(row + 3u, last) * width + column]);
    }
    columns[i] = values;
  }
}

// sums + one weight of each of four columns.
fn plus_columns(sums: vec4<f32>, w: vec4<f32>, i: u32) -> vec4<f32> {
  return fma(vec4<f32>(w.w), columns[i + 3u], fma(vec4<f32>(w.z), columns[i + 2u],
    fma(vec4<f32>(w.y), columns[i + 1u], fma(vec4<f32>(w.x), columns[i], sums))));
}

// The product of dt, of each row.
fn dt_products(d: u32) -> vec4<f32> {
  var total = vec4<f32>(0.0);
  var group = vec4<f32>(0.0);
  for (var chain = 0u; chain < dt_chains(); chain++) {
    var sums = vec4<f32>(0.0);
    for (var c = chain; c < dt_chunks(); c += CHAINS) {
      let words = dt_weight[d * dt_chunks() + c];
      let i = c * 4u * dt_quads();
      sums = plus_columns(sums, dt_weights(words, 0u), i);
      if (dt_quads() > 1u) {
        sums = plus_columns(sums, dt_weights(words, 1u), i + 4u);
      }
    }
    group += sums;
    if (ends_group(chain)) {
      total += group;
      group = vec4<f32>(0.0);
    }
  }
  return total;
}

// Four columns, by row.
fn by_row(i: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(columns[i], columns[i + 1u], columns[i + 2u], columns[i + 3u]));
}

// Moves four states of a row on, and returns its sum with what they add.
fn step_states(row: u32, i: u32, A: vec4<f32>, B: vec4<f32>, C: vec4<f32>, dt: f32, dt_u: f32, sum: f32) -> f32 {
  let at = min(row, params.rows - 1u) * D_INNER * (D_STATE / 4u) + i;
  let h = next_states(ssm_state[at], A, B, dt, dt_u);
  if (row < params.rows) {
    ssm_state[at] = h;
  }
  return plus_dot(sum, C, h);
}

fn write(row: u32, d: u32, sum: f32, u: f32) {
  if (row < params.rows) {
    y[row * D_INNER + d] = gated(sum, D[d], u, xz[(row * 2u + 1u) * D_INNER + d]);
  }
}

@compute @workgroup_size(LANES)
fn selective_scan_rows(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.y * EACH;
  let d = wid.x * LANES + lane;
  stage(row, lane);
  workgroupBarrier();
  if (d >= D_INNER) {
    return;
  }
  let last = params.rows - 1u;
  let u = vec4<f32>(xz[row * 2u * D_INNER + d], xz[min(row + 1u, last) * 2u * D_INNER + d],
                    xz[min(row + 2u, last) * 2u * D_INNER + d], xz[min(row + 3u, last) * 2u * D_INNER + d]);
  let raw = dt_products(d) + dt_bias[d];
  let dt = vec4<f32>(softplus(raw.x), softplus(raw.y), softplus(raw.z), softplus(raw.w));
  let dt_u = dt * u;
  var total = vec4<f32>(0.0);
  for (var first = 0u; first < min(4u * STATE_SUMS, D_STATE); first += 4u) {
    var sums = vec4<f32>(0.0);
    for (var n = first; n < D_STATE; n += 4u * STATE_SUMS) {
      let i = (d * D_STATE + n) / 4u;
      let A = -exp(A_log[i]);
      let B = by_row(W_STRIDE + n);
      let C = by_row(W_STRIDE + D_STATE + n);
      sums = vec4<f32>(step_states(row, i, A, B[0], C[0], dt.x, dt_u.x, sums.x),
                       step_states(row + 1u, i, A, B[1], C[1], dt.y, dt_u.y, sums.y),
                       step_states(row + 2u, i, A, B[2], C[2], dt.z, dt_u.z, sums.z),
                       step_states(row + 3u, i, A, B[3], C[3], dt.w, dt_u.w, sums.w));
    }
    total += sums;
  }
  write(row, d, total.x, u.x);
  write(row + 1u, d, total.y, u.y);
  write(row + 2u, d, total.z, u.z);
  write(row + 3u, d, total.w, u.w);
}
