// selective_scan_bwd: gradients of selective_scan_fwd, backwards through time from the chunk states that it kept.
//   g = grad_y silu(z)      p[t] = C[t] g[t] + exp(dt[t+1] A) p[t+1]      p[seqlen] = gradient of the final state
//   grad_C = sum_d g h[t]   grad_B = sum_d p dt u   grad_u = D g + dt (p . B)   grad_D = sum_t g u
//   grad_dt = sigmoid(dt_raw) sum_n p (A exp(dt A) h[t-1] + B u)   grad_A_log = A sum_t p dt exp(dt A) h[t-1]
//   grad_z = grad_y (C . h + D u) silu'(z)
// Lanes as in the forward: LANES a channel, 4 states each, CHANNELS a workgroup. Time goes back in chunks of CHUNK
// steps, five barriers each: load; recompute the chunk's states into workgroup memory; sums over states for grad_z and
// over channels for grad_C; the recurrence of p, which leaves its products in the place of the states; sums of those.
// grad_dt replaces dt and grad_u replaces grad_y: no workgroup reads what another writes, and two bindings are saved.
// Sums over more than a workgroup are left as partials, so that their order is fixed: of B and C by channel group, of
// A_log and D by batch entry.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;     // B and C follow dt_rank columns in x_dbl
override LANES: u32;       // a power of two
override CHANNELS: u32;
override CHUNK: u32;
override GRAD_FINAL: bool; // whether grad_state holds the gradient of the final state; if not, that is zero
override SIZE: u32 = LANES * CHANNELS;

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

const STATES = 4u;
const LOG2_E = 1.442695;
// dt after softplus, dt u, g, u. Zeros past the last step leave h and p as they are, so that loops over a chunk's steps
// have a constant length.
var<workgroup> tile: array<vec4<f32>, CHUNK * CHANNELS>;
var<workgroup> B_tile: array<vec4<f32>, CHUNK * LANES>;
var<workgroup> C_tile: array<vec4<f32>, CHUNK * LANES>;
// Slot t: the state before step t, and from the recurrence of p on, p dt u.
var<workgroup> states: array<vec4<f32>, (CHUNK + 1u) * LANES * CHANNELS>;
// A lane's parts of sums over states: C . h; then A p exp(dt A) h[t-1] and p . B.
var<workgroup> parts: array<vec2<f32>, CHUNK * LANES * CHANNELS>;

// States of lane i % LANES in step i / LANES of a chunk that begins at row0.
fn B_or_C(row0: u32, i: u32, steps: u32, first: u32) -> vec4<f32> {
  let row = row0 + i / LANES;
  let state = i % LANES * STATES;
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < STATES; j++) {
    if (state + j < D_STATE && i / LANES < steps) {
      values[j] = x_dbl[row * (DT_RANK + 2u * D_STATE) + first + state + j];
    }
  }
  return values;
}

// Sum over a channel's lanes, of element i = (step, channel). Where each starts is spread over the memory banks.
fn sum_of_parts(i: u32) -> vec2<f32> {
  var sum = vec2<f32>(0.0);
  for (var lane = 0u; lane < LANES; lane++) {
    sum += parts[i * LANES + (lane + i / 4u) % LANES];
  }
  return sum;
}

fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-v));
}

fn store_BC(row: u32, first: u32, lane: u32, values: vec4<f32>) {
  for (var i = 0u; i < STATES; i++) {
    if (lane * STATES + i < D_STATE) {
      grad_BC[row * 2u * D_STATE + first + lane * STATES + i] = values[i];
    }
  }
}

@compute @workgroup_size(LANES, CHANNELS)
fn selective_scan_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                      @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let d0 = wid.x * CHANNELS;
  let d = d0 + lid.y;
  let first_state = lid.x * STATES;
  let chunks = (params.seqlen + CHUNK - 1u) / CHUNK;
  // Elements (step, channel) of a chunk go around by the workgroup's size: an invocation always has the same channel.
  let own = d0 + index % CHANNELS;
  var own_D = 0.0;
  if (own < D_INNER) {
    own_D = D[own];
  }
  var A = vec4<f32>(0.0);
  var carry = vec4<f32>(0.0); // exp(dt[t+1] A) p[t+1]
  for (var i = 0u; i < STATES; i++) {
    if (d < D_INNER && first_state + i < D_STATE) {
      A[i] = -exp(A_log[d * D_STATE + first_state + i]);
      if (GRAD_FINAL) {
        carry[i] = grad_state[(b * D_INNER + d) * D_STATE + first_state + i];
      }
    }
  }
  let A_2 = LOG2_E * A;
  var A_sum = vec4<f32>(0.0);
  var D_sum = 0.0;

  for (var chunk = chunks; chunk > 0u; chunk--) {
    let t0 = (chunk - 1u) * CHUNK;
    let steps = min(CHUNK, params.seqlen - t0);
    let row0 = b * params.seqlen + t0;

    for (var i = index; i < CHUNK * CHANNELS; i += SIZE) {
      var values = vec4<f32>(0.0);
      if (own < D_INNER && i / CHANNELS < steps) {
        let row = row0 + i / CHANNELS;
        let dt_t = softplus(dt[row * D_INNER + own]);
        let u_t = u[row * D_INNER + own];
        let g = grad_y[row * D_INNER + own] * silu(xz[row * 2u * D_INNER + D_INNER + own]);
        values = vec4<f32>(dt_t, dt_t * u_t, g, u_t);
      }
      tile[i] = values;
    }
    for (var i = index; i < CHUNK * LANES; i += SIZE) {
      B_tile[i] = B_or_C(row0, i, steps, DT_RANK);
      C_tile[i] = B_or_C(row0, i, steps, DT_RANK + D_STATE);
    }
    var h = vec4<f32>(0.0);
    for (var i = 0u; i < STATES; i++) {
      if (d < D_INNER && first_state + i < D_STATE) {
        h[i] = ssm_state[((b * (chunks + 1u) + chunk - 1u) * D_INNER + d) * D_STATE + first_state + i];
      }
    }
    workgroupBarrier();

    for (var t = 0u; t < CHUNK; t++) {
      states[t * SIZE + index] = h;
      let values = tile[t * CHANNELS + lid.y];
      h = exp2(values.x * A_2) * h + values.y * B_tile[t * LANES + lid.x];
      parts[t * SIZE + index].x = dot(C_tile[t * LANES + lid.x], h);
    }
    states[CHUNK * SIZE + index] = h;
    workgroupBarrier();

    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      D_sum += tile[i].z * tile[i].w;
      if (own < D_INNER) {
        let row = row0 + i / CHANNELS;
        let z = xz[row * 2u * D_INNER + D_INNER + own];
        let s = sigmoid(z);
        let y = sum_of_parts(i).x + own_D * tile[i].w;
        grad_xz[row * 2u * D_INNER + D_INNER + own] = grad_y[row * D_INNER + own] * y * s * (1.0 + z * (1.0 - s));
      }
    }
    for (var i = index; i < steps * LANES; i += SIZE) {
      let t = i / LANES;
      var sum = vec4<f32>(0.0);
      for (var k = 0u; k < CHANNELS; k++) {
        let channel = (k + t) % CHANNELS;
        sum += tile[t * CHANNELS + channel].z * states[(t + 1u) * SIZE + channel * LANES + i % LANES];
      }
      store_BC(wid.x * count.y * params.seqlen + row0 + t, D_STATE, i % LANES, sum);
    }
    workgroupBarrier();

    for (var after = CHUNK; after > 0u; after--) {
      let t = after - 1u;
      let values = tile[t * CHANNELS + lid.y];
      let p = carry + values.z * C_tile[t * LANES + lid.x];
      carry = exp2(values.x * A_2) * p;
      let through_A = carry * states[t * SIZE + index];
      A_sum += values.x * through_A;
      parts[t * SIZE + index] = vec2<f32>(dot(A, through_A), dot(p, B_tile[t * LANES + lid.x]));
      states[t * SIZE + index] = values.y * p;
    }
    workgroupBarrier();

    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      if (own < D_INNER) {
        let element = (row0 + i / CHANNELS) * D_INNER + own;
        let sum = sum_of_parts(i);
        dt[element] = sigmoid(dt[element]) * (sum.x + tile[i].w * sum.y);
        grad_y[element] = own_D * tile[i].z + tile[i].x * sum.y;
      }
    }
    for (var i = index; i < steps * LANES; i += SIZE) {
      let t = i / LANES;
      var sum = vec4<f32>(0.0);
      for (var k = 0u; k < CHANNELS; k++) {
        sum += states[t * SIZE + (k + t) % CHANNELS * LANES + i % LANES];
      }
      store_BC(wid.x * count.y * params.seqlen + row0 + t, 0u, i % LANES, sum);
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < STATES; i++) {
    if (d < D_INNER && first_state + i < D_STATE) {
      let element = (b * D_INNER + d) * D_STATE + first_state + i;
      grad_params[element] = A[i] * A_sum[i];
      grad_state[element] = carry[i];
    }
  }
  parts[index].x = D_sum;
  workgroupBarrier();
  if (index < CHANNELS && own < D_INNER) {
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
      sum += parts[lane * CHANNELS + index].x;
    }
    grad_params[params.D_start + b * D_INNER + own] = sum;
  }
}
