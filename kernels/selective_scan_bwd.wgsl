// selective_scan_bwd: gradients of selective_scan_fwd, backwards through time from the chunk states that it kept.
//   g = grad_y silu(z)      p[t] = C[t] g[t] + exp(dt[t+1] A) p[t+1]      p[seqlen] = gradient of the final state
//   grad_C = sum_d g h[t]   grad_B = sum_d p dt u   grad_u = D g + dt (p . B)   grad_D = sum_t g u
//   grad_dt = sigmoid(dt_raw) sum_n p (A exp(dt A) h[t-1] + B u)   grad_A_log = A sum_t p dt exp(dt A) h[t-1]
//   grad_z = grad_y (C . h + D u) silu'(z)
// Lanes as in the forward: LANES a channel, 4 states each, CHANNELS a workgroup. Time goes back in chunks of CHUNK
// steps, seven barriers each: load; recompute the chunk's states into workgroup memory; sums over lanes for grad_z and
// over channels, in two stages, for grad_C; the recurrence of p, which leaves its products in the place of the states;
// sums of those.
// What workgroup memory a workgroup takes decides how many there are at once, and with that the time.
// grad_dt replaces dt and grad_u replaces grad_y: no workgroup reads what another writes, and two bindings are saved.
// Sums over more than a workgroup are left as partials, so that their order is fixed: of B and C by channel group, of
// A_log and D by batch entry.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;     // B and C follow dt_rank columns in x_dbl
override LANES: u32;
override CHANNELS: u32;
override CHUNK: u32;
override GRAD_FINAL: bool; // whether grad_state holds the gradient of the final state; if not, that is zero
override SIZE: u32 = LANES * CHANNELS;
override SHARES: u32 = max(CHANNELS / CHUNK, 1u); // lanes that share a sum over channels
override SUMS: u32 = CHUNK * LANES;               // such sums of a chunk, of a vector of states each

struct Params {
  seqlen: u32,
  D_start: u32, // where the partials of D begin in grad_params
}

@group(0) @binding(0) var<storage, read> u: array<f32>;                 // (batch, seqlen, D_INNER)
@group(0) @binding(1) var<storage, read_write> dt: array<f32>;          // (batch, seqlen, D_INNER), out grad_dt
@group(0) @binding(2) var<storage, read> x_dbl: array<f32>;             // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(3) var<storage, read> xz: array<f32>;                // (batch, seqlen, 2 D_INNER), z second
@group(0) @binding(4) var<storage, read> A_log: array<f32>;             // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;                 // (D_INNER)
@group(0) @binding(6) var<storage, read> ssm_state: array<f32>;         // (batch, chunks + 1, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> grad_y: array<f32>;      // (batch, seqlen, D_INNER), out grad_u
@group(0) @binding(8) var<storage, read_write> grad_xz: array<f32>;     // (batch, seqlen, 2 D_INNER): z's half
@group(0) @binding(9) var<storage, read_write> grad_BC: array<f32>;     // (groups, batch, seqlen, 2 D_STATE): B, then C
@group(0) @binding(10) var<storage, read_write> grad_params: array<f32>; // (batch, D_INNER, D_STATE), (batch, D_INNER)
@group(0) @binding(11) var<storage, read_write> grad_state: array<f32>; // (batch, D_INNER, D_STATE): final's, initial's
@group(0) @binding(12) var<uniform> params: Params;

const LOG2_E = 1.442695;
const LN_2 = 0.69314718;
// dt after softplus, dt u, g, u. Zeros past the last step leave h and p as they are, so that loops over a chunk's steps
// have a constant length.
var<workgroup> tile: array<vec4<f32>, CHUNK * CHANNELS>;
var<workgroup> slopes: array<vec2<f32>, CHUNK * CHANNELS>; // grad_y silu'(z), sigmoid(dt_raw)
var<workgroup> B_tile: array<vec4<f32>, CHUNK * LANES>;
var<workgroup> C_tile: array<vec4<f32>, CHUNK * LANES>;
// The states after step t, and from the recurrence of p on, p dt u.
var<workgroup> states: array<vec4<f32>, CHUNK * SIZE>;
// The lanes' shares of sums over channels: of share, step, lane.
var<workgroup> shares: array<vec4<f32>, SHARES * SUMS>;
// A lane's parts of sums over states: C . h; then A p exp(dt A) h[t-1] and p . B.
var<workgroup> parts: array<vec2<f32>, CHUNK * SIZE>;

// Which of the states n to n + 3 there are, of channels that there are.
fn exist(d: u32, n: u32) -> vec4<bool> {
  return (vec4<u32>(n) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(D_STATE)) & vec4<bool>(d < D_INNER);
}

// A / ln 2, for powers of 2.
fn A_2(d: u32, n: u32) -> vec4<f32> {
  let i = d * D_STATE + n;
  let values = -LOG2_E * exp(vec4<f32>(A_log[i], A_log[i + 1u], A_log[i + 2u], A_log[i + 3u]));
  return select(vec4<f32>(0.0), values, exist(d, n));
}

fn final_gradient(b: u32, d: u32, n: u32) -> vec4<f32> {
  let i = (b * D_INNER + d) * D_STATE + n;
  let values = vec4<f32>(grad_state[i], grad_state[i + 1u], grad_state[i + 2u], grad_state[i + 3u]);
  return select(vec4<f32>(0.0), values, exist(d, n) & vec4<bool>(GRAD_FINAL));
}

fn kept_state(slot: u32, d: u32, n: u32) -> vec4<f32> {
  let i = (slot * D_INNER + d) * D_STATE + n;
  let values = vec4<f32>(ssm_state[i], ssm_state[i + 1u], ssm_state[i + 2u], ssm_state[i + 3u]);
  return select(vec4<f32>(0.0), values, exist(d, n));
}

fn B_or_C(row: u32, first: u32, n: u32) -> vec4<f32> {
  let i = row * (DT_RANK + 2u * D_STATE) + first + n;
  return select(vec4<f32>(0.0), vec4<f32>(x_dbl[i], x_dbl[i + 1u], x_dbl[i + 2u], x_dbl[i + 3u]), exist(0u, n));
}

// Sum over the lanes of element (step, channel).
fn sum_of_parts(t: u32, channel: u32) -> vec2<f32> {
  var sum = parts[t * SIZE + channel];
  for (var lane = 1u; lane < LANES; lane++) {
    sum += parts[t * SIZE + lane * CHANNELS + channel];
  }
  return sum;
}

// Sum of the shares of sum i = (step, lane).
fn sum_of_shares(i: u32) -> vec4<f32> {
  var sum = shares[i];
  for (var share = 1u; share < SHARES; share++) {
    sum += shares[share * SUMS + i];
  }
  return sum;
}

fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-v));
}

fn store_BC(row: u32, first: u32, n: u32, values: vec4<f32>) {
  let i = row * 2u * D_STATE + first + n;
  if (n < D_STATE) {
    grad_BC[i] = values.x;
  }
  if (n + 1u < D_STATE) {
    grad_BC[i + 1u] = values.y;
  }
  if (n + 2u < D_STATE) {
    grad_BC[i + 2u] = values.z;
  }
  if (n + 3u < D_STATE) {
    grad_BC[i + 3u] = values.w;
  }
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                      @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let d = wid.x * CHANNELS + lid.x;
  let n = 4u * lid.y; // of this lane's states
  let chunks = (params.seqlen + CHUNK - 1u) / CHUNK;
  var own_D = 0.0;
  if (d < D_INNER) {
    own_D = D[d];
  }
  let A = A_2(d, n);
  var carry = final_gradient(b, d, n); // exp(dt[t+1] A) p[t+1]
  var A_sum = vec4<f32>(0.0);
  var D_sum = 0.0;

  for (var chunk = chunks; chunk > 0u; chunk--) {
    let t0 = (chunk - 1u) * CHUNK;
    let steps = min(CHUNK, params.seqlen - t0);
    let row0 = b * params.seqlen + t0;

    // Elements (step, channel) go around by the workgroup's size: an invocation always has its own channel.
    for (var i = index; i < CHUNK * CHANNELS; i += SIZE) {
      var values = vec4<f32>(0.0);
      if (d < D_INNER && i / CHANNELS < steps) {
        let row = row0 + i / CHANNELS;
        let dt_raw = dt[row * D_INNER + d];
        let u_t = u[row * D_INNER + d];
        let z = xz[row * 2u * D_INNER + D_INNER + d];
        let gradient = grad_y[row * D_INNER + d];
        let s = sigmoid(z);
        let dt_t = softplus(dt_raw);
        values = vec4<f32>(dt_t, dt_t * u_t, gradient * silu(z), u_t);
        slopes[i] = vec2<f32>(gradient * s * (1.0 + z * (1.0 - s)), sigmoid(dt_raw));
      }
      tile[i] = values;
    }
    for (var i = index; i < CHUNK * LANES; i += SIZE) {
      let is_step = i / LANES < steps;
      let row = row0 + i / LANES;
      B_tile[i] = select(vec4<f32>(0.0), B_or_C(row, DT_RANK, i % LANES * 4u), is_step);
      C_tile[i] = select(vec4<f32>(0.0), B_or_C(row, DT_RANK + D_STATE, i % LANES * 4u), is_step);
    }
    let start = kept_state(b * (chunks + 1u) + chunk - 1u, d, n);
    workgroupBarrier();

    var h = start;
    for (var t = 0u; t < CHUNK; t++) {
      let values = tile[t * CHANNELS + lid.x];
      h = exp2(values.x * A) * h + values.y * B_tile[t * LANES + lid.y];
      states[t * SIZE + index] = h;
      parts[t * SIZE + index].x = dot(C_tile[t * LANES + lid.y], h);
    }
    workgroupBarrier();

    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      let t = i / CHANNELS;
      D_sum += tile[i].z * tile[i].w;
      if (d < D_INNER) {
        let y = sum_of_parts(t, lid.x).x + own_D * tile[i].w;
        grad_xz[(row0 + t) * 2u * D_INNER + D_INNER + d] = slopes[i].x * y;
      }
    }
    for (var i = index; i < SHARES * SUMS; i += SIZE) {
      let t = i % SUMS / LANES;
      let row = t * SIZE + i % LANES * CHANNELS;
      var sum = vec4<f32>(0.0);
      for (var k = i / SUMS; k < CHANNELS; k += SHARES) {
        let channel = (k + i % SUMS * SHARES) % CHANNELS; // each starts elsewhere, to spread over the memory banks
        sum += tile[t * CHANNELS + channel].z * states[row + channel];
      }
      shares[i] = sum;
    }
    workgroupBarrier();
    for (var i = index; i < steps * LANES; i += SIZE) {
      let row = wid.x * count.y * params.seqlen + row0 + i / LANES;
      store_BC(row, D_STATE, i % LANES * 4u, sum_of_shares(i));
    }

    for (var after = CHUNK; after > 0u; after--) {
      let t = after - 1u;
      h = start;
      if (t > 0u) {
        h = states[(t - 1u) * SIZE + index];
      }
      let values = tile[t * CHANNELS + lid.x];
      let p = carry + values.z * C_tile[t * LANES + lid.y];
      carry = exp2(values.x * A) * p;
      let through_A = carry * h;
      A_sum += values.x * through_A;
      parts[t * SIZE + index] = vec2<f32>(dot(A, through_A), dot(p, B_tile[t * LANES + lid.y]));
      states[t * SIZE + index] = values.y * p;
    }
    workgroupBarrier();

    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      if (d < D_INNER) {
        let t = i / CHANNELS;
        let element = (row0 + t) * D_INNER + d;
        let sum = sum_of_parts(t, lid.x);
        let values = tile[i];
        dt[element] = slopes[i].y * (LN_2 * sum.x + values.w * sum.y);
        grad_y[element] = own_D * values.z + values.x * sum.y;
      }
    }
    for (var i = index; i < SHARES * SUMS; i += SIZE) {
      let row = i % SUMS / LANES * SIZE + i % LANES * CHANNELS;
      var sum = vec4<f32>(0.0);
      for (var k = i / SUMS; k < CHANNELS; k += SHARES) {
        sum += states[row + (k + i % SUMS * SHARES) % CHANNELS];
      }
      shares[i] = sum;
    }
    workgroupBarrier();
    for (var i = index; i < steps * LANES; i += SIZE) {
      let row = wid.x * count.y * params.seqlen + row0 + i / LANES;
      store_BC(row, 0u, i % LANES * 4u, sum_of_shares(i));
    }
    workgroupBarrier();
  }

  // Copies: variables that are indexed do not stay in registers, in the loops above either.
  let grad_A = LN_2 * A * A_sum;
  let grad_initial = carry;
  for (var i = 0u; i < 4u; i++) {
    if (d < D_INNER && n + i < D_STATE) {
      let element = (b * D_INNER + d) * D_STATE + n + i;
      grad_params[element] = grad_A[i];
      grad_state[element] = grad_initial[i];
    }
  }
  parts[index].x = D_sum;
  workgroupBarrier();
  if (index < CHANNELS && d < D_INNER) {
    grad_params[params.D_start + b * D_INNER + d] = sum_of_parts(0u, index).x;
  }
}
