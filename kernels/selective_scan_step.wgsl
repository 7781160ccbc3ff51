// selective_scan_step: dt_proj and the Mamba-1 recurrence for a single step (seqlen 1), with skip and gate.
//   dt = softplus(dt_weight dt_low + dt_bias)      A = -exp(A_log)
//   h = exp(dt A) h + dt B u        y = (C . h + D u) silu(z)
// In the order of sums that _scan_step and _states say. A channel has LANES lanes: all of them have chains of the
// product of dt, and STATE_SUMS of them the states.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;
override W_STRIDE: u32;  // elements from row to row of dt_weight, zeros beyond DT_RANK
override W_DTYPE: u32;
override ALIGNED: bool;  // D_STATE and DT_RANK are multiples of 4
override LANES: u32;     // at least STATE_SUMS
override CHANNELS: u32;

@group(0) @binding(0) var<storage, read> xz: array<f32>;              // (batch, 2 D_INNER): u, then z
@group(0) @binding(1) var<storage, read> x_dbl: array<vec4<f32>>;     // (batch, DT_RANK + 2 D_STATE): dt_low, B, C
@group(0) @binding(2) var<storage, read> dt_weight: array<vec4<u32>>; // (D_INNER, W_STRIDE), packed
@group(0) @binding(3) var<storage, read> dt_bias: array<f32>;         // (D_INNER)
@group(0) @binding(4) var<storage, read> A_log: array<vec4<f32>>;     // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;               // (D_INNER)
@group(0) @binding(6) var<storage, read_write> ssm_state: array<f32>; // (batch, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;         // (batch, D_INNER)

var<workgroup> chains: array<f32, CHANNELS * (CHAINS + 1u)>; // one apart, for the banks' sake
var<workgroup> parts: array<f32, CHANNELS * STATE_SUMS>;

// Of the states n to n + 3, those that there are.
fn exist(n: u32) -> vec4<bool> {
  return vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(D_STATE);
}

// Four of x_dbl, from i on.
fn x_dbl4(i: u32) -> vec4<f32> {
  if (ALIGNED) {
    return x_dbl[i / 4u];
  }
  return vec4<f32>(x_dbl[i / 4u][i % 4u], x_dbl[(i + 1u) / 4u][(i + 1u) % 4u], x_dbl[(i + 2u) / 4u][(i + 2u) % 4u],
                   x_dbl[(i + 3u) / 4u][(i + 3u) % 4u]);
}

// Four of dt_low, zero past the last one.
fn dt_low4(row: u32, r: u32) -> vec4<f32> {
  let exists = vec4<u32>(r, r + 1u, r + 2u, r + 3u) < vec4<u32>(DT_RANK);
  return select(vec4<f32>(0.0), x_dbl4(row + r), exists);
}

// What chunk c of a channel's row adds to its chain.
fn plus_chunk(sum: f32, d: u32, c: u32, row: u32) -> f32 {
  let words = dt_weight[d * dt_chunks() + c];
  let r = c * 4u * dt_quads();
  var more = plus_dot(sum, dt_weights(words, 0u), dt_low4(row, r));
  if (dt_quads() > 1u) {
    more = plus_dot(more, dt_weights(words, 1u), dt_low4(row, r + 4u));
  }
  return more;
}

fn sum_of_chains(first: u32) -> f32 {
  var sum = 0.0;
  for (var i = first; i < first + dt_chains(); i += GROUP_CHAINS) {
    sum += sum4(vec4<f32>(chains[i], chains[i + 1u], chains[i + 2u], chains[i + 3u]));
  }
  return sum;
}

// What a lane reads of four states of a channel before it needs it; zeros for those that are not there.
struct States {
  A: vec4<f32>,
  h: vec4<f32>,
  B: vec4<f32>,
  C: vec4<f32>,
}

fn load_states(at: u32, d: u32, n: u32, row: u32) -> States {
  let i = d * D_STATE + n;
  var A_logs: vec4<f32>;
  if (ALIGNED) {
    A_logs = A_log[i / 4u];
  } else {
    A_logs = vec4<f32>(A_log[i / 4u][i % 4u], A_log[(i + 1u) / 4u][(i + 1u) % 4u], A_log[(i + 2u) / 4u][(i + 2u) % 4u],
                       A_log[(i + 3u) / 4u][(i + 3u) % 4u]);
  }
  let h = vec4<f32>(ssm_state[at + n], ssm_state[at + n + 1u], ssm_state[at + n + 2u], ssm_state[at + n + 3u]);
  let B = x_dbl4(row + DT_RANK + n);
  let C = x_dbl4(row + DT_RANK + D_STATE + n);
  let none = vec4<f32>(0.0);
  let exists = exist(n);
  return States(-exp(select(none, A_logs, exists)), select(none, h, exists), select(none, B, exists),
                select(none, C, exists));
}

fn write_states(at: u32, n: u32, h: vec4<f32>) {
  let exists = exist(n);
  ssm_state[at + n] = h.x;
  if (exists.y) {
    ssm_state[at + n + 1u] = h.y;
  }
  if (exists.z) {
    ssm_state[at + n + 2u] = h.z;
  }
  if (exists.w) {
    ssm_state[at + n + 3u] = h.w;
  }
}

@compute @workgroup_size(LANES, CHANNELS)
fn selective_scan_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  let b = wid.y;
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.y, D_INNER - 1u);
  let writes = wid.x * CHANNELS + lid.y < D_INNER;
  let row = b * (DT_RANK + 2u * D_STATE);
  let at = (b * D_INNER + d) * D_STATE;
  let u = xz[b * 2u * D_INNER + d];
  let bias = dt_bias[d];
  let skip = D[d];
  let z = xz[(b * 2u + 1u) * D_INNER + d];
  let has_states = lid.x < STATE_SUMS && lid.x * 4u < D_STATE;
  var states: States;
  if (has_states) {
    states = load_states(at, d, lid.x * 4u, row);
  }
  for (var chain = lid.x; chain < dt_chains(); chain += LANES) {
    var sum = 0.0;
    for (var c = chain; c < dt_chunks(); c += CHAINS) {
      sum = plus_chunk(sum, d, c, row);
    }
    chains[lid.y * (CHAINS + 1u) + chain] = sum;
  }
  workgroupBarrier();
  var part = 0.0;
  if (has_states) {
    let dt = softplus(sum_of_chains(lid.y * (CHAINS + 1u)) + bias);
    for (var n = lid.x * 4u; n < D_STATE; n += 4u * STATE_SUMS) {
      if (n >= 4u * STATE_SUMS) {
        states = load_states(at, d, n, row);
      }
      let h = next_states(states.h, states.A, states.B, dt, dt * u);
      if (writes) {
        write_states(at, n, h);
      }
      part = plus_dot(part, states.C, h);
    }
  }
  if (lid.x < STATE_SUMS) {
    parts[lid.y * STATE_SUMS + lid.x] = part;
  }
  workgroupBarrier();
  if (writes && lid.x == 0u) {
    let i = lid.y * STATE_SUMS;
    let sum = sum4(vec4<f32>(parts[i], parts[i + 1u], parts[i + 2u], parts[i + 3u]));
    y[b * D_INNER + d] = gated(sum, skip, u, z);
  }
}
