// selective_scan_rows: what selective_scan_step computes, for the steps of many sequences.
//   dt = softplus(dt_weight dt_low + dt_bias)      A = -exp(A_log)
//   h = exp(dt A) h + dt B u        y = (C . h + D u) silu(z)
// In the order of sums that _scan_step and _states say. A workgroup has CHANNELS channels of EACH rows, so that weights
// are read once for all of these. STATE_SUMS lanes side by side have a channel: each some groups of chains of the
// product of dt, whose sums meet in workgroup memory, and then one of the sums over states. What a lane reads is on its
// way before it is needed; what all lanes read of the rows is laid out in workgroup memory, a vec4 of EACH rows for
// each column. The grid is (blocks of CHANNELS channels, blocks of EACH rows).
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

const CHANNELS = 64u;
const EACH = 4u;
const LANES = CHANNELS * STATE_SUMS;
const GROUPS = CHAINS / GROUP_CHAINS;
var<workgroup> columns: array<vec4<f32>, W_STRIDE + 2u * D_STATE>; // [dt_low, zeros, B, C]
var<workgroup> sums: array<vec4<f32>, CHANNELS * GROUPS>;          // of groups of chains; then over states

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

// Chunks of a group's chains, the first of each.
struct Chunks {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>,
}

fn load_chunk(d: u32, c: u32) -> vec4<u32> {
  return dt_weight[d * dt_chunks() + min(c, dt_chunks() - 1u)];
}

fn load_chunks(d: u32, c: u32) -> Chunks {
  return Chunks(load_chunk(d, c), load_chunk(d, c + 1u), load_chunk(d, c + 2u), load_chunk(d, c + 3u));
}

fn plus_chunk(sums: vec4<f32>, words: vec4<u32>, c: u32) -> vec4<f32> {
  let i = c * 4u * dt_quads();
  let first = plus_columns(sums, dt_weights(words, 0u), i);
  if (dt_quads() == 1u) {
    return first;
  }
  return plus_columns(first, dt_weights(words, 1u), i + 4u);
}

// Of a chain whose first chunk is there, for each row; zero if it has none.
fn sum_of_chain(d: u32, chain: u32, words: vec4<u32>) -> vec4<f32> {
  if (chain >= dt_chunks()) {
    return vec4<f32>(0.0);
  }
  var sum = plus_chunk(vec4<f32>(0.0), words, chain);
  for (var c = chain + CHAINS; c < dt_chunks(); c += CHAINS) {
    sum = plus_chunk(sum, load_chunk(d, c), c);
  }
  return sum;
}

fn sum_of_group(d: u32, first: u32, chunks: Chunks) -> vec4<f32> {
  return ((sum_of_chain(d, first, chunks.a) + sum_of_chain(d, first + 1u, chunks.b)) +
    sum_of_chain(d, first + 2u, chunks.c)) + sum_of_chain(d, first + 3u, chunks.d);
}

// Four states of each row, and what A is made of.
struct States {
  A_log: vec4<f32>,
  h: mat4x4<f32>,
}

fn state_at(row: u32, d: u32, n: u32) -> u32 {
  return (min(row, params.rows - 1u) * D_INNER + d) * (D_STATE / 4u) + n / 4u;
}

fn load_states(row: u32, d: u32, n: u32) -> States {
  return States(A_log[(d * D_STATE + n) / 4u],
                mat4x4<f32>(ssm_state[state_at(row, d, n)], ssm_state[state_at(row + 1u, d, n)],
                            ssm_state[state_at(row + 2u, d, n)], ssm_state[state_at(row + 3u, d, n)]));
}

// Four columns, by row.
fn by_row(i: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(columns[i], columns[i + 1u], columns[i + 2u], columns[i + 3u]));
}

fn write_states(row: u32, d: u32, n: u32, h: vec4<f32>) {
  if (row < params.rows && d < D_INNER) {
    ssm_state[state_at(row, d, n)] = h;
  }
}

@compute @workgroup_size(LANES)
fn selective_scan_rows(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.y * EACH;
  let last = params.rows - 1u;
  let own = lane / STATE_SUMS;
  let part = lane % STATE_SUMS;
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let channel = wid.x * CHANNELS + own;
  let d = min(channel, D_INNER - 1u);
  var chunks = load_chunks(d, part * GROUP_CHAINS);
  var states: States;
  if (part * 4u < D_STATE) {
    states = load_states(row, d, part * 4u);
  }
  let u = vec4<f32>(xz[row * 2u * D_INNER + d], xz[min(row + 1u, last) * 2u * D_INNER + d],
                    xz[min(row + 2u, last) * 2u * D_INNER + d], xz[min(row + 3u, last) * 2u * D_INNER + d]);
  let bias = dt_bias[d];
  // In the end a lane has one row of a channel.
  let end_row = row + lane / CHANNELS;
  let end_channel = wid.x * CHANNELS + lane % CHANNELS;
  let end_xz = min(end_row, last) * 2u * D_INNER + min(end_channel, D_INNER - 1u);
  let end_u = xz[end_xz];
  let end_z = xz[end_xz + D_INNER];
  let skip = D[min(end_channel, D_INNER - 1u)];
  stage(row, lane);
  workgroupBarrier();
  for (var group = part; group < dt_chains() / GROUP_CHAINS; group += STATE_SUMS) {
    if (group >= STATE_SUMS) {
      chunks = load_chunks(d, group * GROUP_CHAINS);
    }
    sums[own * GROUPS + group] = sum_of_group(d, group * GROUP_CHAINS, chunks);
  }
  workgroupBarrier();
  var raw = sums[own * GROUPS];
  for (var group = 1u; group < dt_chains() / GROUP_CHAINS; group++) {
    raw += sums[own * GROUPS + group];
  }
  raw += bias;
  let dt = vec4<f32>(softplus(raw.x), softplus(raw.y), softplus(raw.z), softplus(raw.w));
  let dt_u = dt * u;
  var sum = vec4<f32>(0.0);
  for (var n = part * 4u; n < D_STATE; n += 4u * STATE_SUMS) {
    if (n >= 4u * STATE_SUMS) {
      states = load_states(row, d, n);
    }
    let A = -exp(states.A_log);
    let B = by_row(W_STRIDE + n);
    let C = by_row(W_STRIDE + D_STATE + n);
    let h = mat4x4<f32>(
      next_states(states.h[0], A, B[0], dt.x, dt_u.x), next_states(states.h[1], A, B[1], dt.y, dt_u.y),
      next_states(states.h[2], A, B[2], dt.z, dt_u.z), next_states(states.h[3], A, B[3], dt.w, dt_u.w));
    write_states(row, channel, n, h[0]);
    write_states(row + 1u, channel, n, h[1]);
    write_states(row + 2u, channel, n, h[2]);
    write_states(row + 3u, channel, n, h[3]);
    sum = vec4<f32>(plus_dot(sum.x, C[0], h[0]), plus_dot(sum.y, C[1], h[1]), plus_dot(sum.z, C[2], h[2]),
                    plus_dot(sum.w, C[3], h[3]));
  }
  workgroupBarrier();
  sums[part * CHANNELS + own] = sum;
  workgroupBarrier();
  if (end_row < params.rows && end_channel < D_INNER) {
    let i = lane % CHANNELS;
    let each = lane / CHANNELS;
    let total = sum4(vec4<f32>(sums[i][each], sums[i + CHANNELS][each], sums[i + 2u * CHANNELS][each],
                               sums[i + 3u * CHANNELS][each]));
    y[end_row * D_INNER + end_channel] = gated(total, skip, end_u, end_z);
  }
}
