// selective_scan_fwd: Mamba-1 recurrence (Gu & Dao 2023, Algorithm 2), from any initial state, with skip and gate.
//   dt = softplus(dt_raw)      A = -exp(A_log)
//   h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]        y[t] = (C[t] . h[t] + D u[t]) silu(z[t])
// A workgroup serves CHANNELS channels of one batch entry with LANES lanes each; a lane keeps 4 of the channel's states
// in registers (LANES * 4 >= D_STATE, the rest are zero). Time is serial, in tiles of GROUPS groups of 4 steps, written
// out: what loops over single steps leaves each of them to wait for the one before. Lane (channel, g) brings the inputs
// of group g of its channel, a tile ahead of their use, and writes its outputs, the sum of what the lanes have of them.
// Steps past the last have dt 0, which leaves h as it is.
// Inference moves ssm_state on in place. Training keeps the state before every group, and the final one. Where the
// sequence is CHUNKED a workgroup serves CHUNK steps of it, from a state that selective_scan_pass has left, and moves
// nothing on. The states are a binding of vec4s where D_STATE is a multiple of 4, and else one of elements: a write to
// a part of a vector may touch all of it.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;   // B and C follow dt_rank columns in x_dbl
override LANES: u32;
override CHANNELS: u32;
override GROUPS: u32;    // at most LANES
override KEEP: bool;     // whether this is training
override CHUNKED: bool;  // whether wid.z is a chunk of CHUNK steps, a multiple of TILE; never with KEEP
override CHUNK: u32;
override SIZE: u32 = LANES * CHANNELS;
override TILE: u32 = 4u * GROUPS;
override SHARED: u32 = select(1u, TILE * LANES, CHANNELS > 1u); // B and C of a tile, where channels share them

struct Params {
  seqlen: u32,
  dt_start: u32, // where dt (batch, seqlen, D_INNER), before softplus, begins in u_dt
}

@group(0) @binding(0) var<storage, read> u_dt: array<f32>;                  // (batch, seqlen, D_INNER); dt
@group(0) @binding(1) var<storage, read> x_dbl: array<vec4<f32>>;           // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(2) var<storage, read> xz: array<f32>;                    // (batch, seqlen, 2 D_INNER), z second
@group(0) @binding(3) var<storage, read> A_log: array<f32>;                 // (D_INNER, D_STATE)
@group(0) @binding(4) var<storage, read> D: array<f32>;                     // (D_INNER)
@group(0) @binding(5) var<storage, read_write> ssm_state: array<vec4<f32>>; // (batch, slots, D_INNER, D_STATE)
@group(0) @binding(6) var<storage, read_write> state_elements: array<f32>;  // the same
@group(0) @binding(7) var<storage, read_write> y: array<f32>;               // (batch, seqlen, D_INNER)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> dt_tile: array<vec4<f32>, GROUPS * CHANNELS>;  // [group][channel]: 4 steps of dt after softplus ...
var<workgroup> dtu_tile: array<vec4<f32>, GROUPS * CHANNELS>; // ... and of dt u
var<workgroup> B_tile: array<vec4<f32>, SHARED>;              // [step][lane]
var<workgroup> C_tile: array<vec4<f32>, SHARED>;
var<workgroup> y_parts: array<vec4<f32>, GROUPS * SIZE>;      // [group][lane][channel]: C . h of 4 steps

// Four steps of one channel.
struct Inputs {
  dt: vec4<f32>,
  u: vec4<f32>,
  z: vec4<f32>,
}

// Which of the steps t to t + 3 there are.
fn are_steps(t: u32) -> vec4<bool> {
  return vec4<u32>(t, t + 1u, t + 2u, t + 3u) < vec4<u32>(params.seqlen);
}

// Any values past the last step and channel.
fn inputs_at(b: u32, t: u32, d: u32) -> Inputs {
  let rows = b * params.seqlen + min(vec4<u32>(t, t + 1u, t + 2u, t + 3u), vec4<u32>(params.seqlen - 1u));
  let i = rows * D_INNER + min(d, D_INNER - 1u);
  let j = i + rows * D_INNER + D_INNER;
  let k = i + params.dt_start;
  return Inputs(
    vec4<f32>(u_dt[k.x], u_dt[k.y], u_dt[k.z], u_dt[k.w]),
    vec4<f32>(u_dt[i.x], u_dt[i.y], u_dt[i.z], u_dt[i.w]),
    vec4<f32>(xz[j.x], xz[j.y], xz[j.z], xz[j.w]));
}

// One slot in inference, or one before each chunk. In training: the state before group 0, after group 0, ..., after the
// last group.
fn state_start(b: u32, slot: u32, d: u32, n: u32) -> u32 {
  var slots = 1u;
  if (CHUNKED) {
    slots = (params.seqlen + CHUNK - 1u) / CHUNK;
  } else if (KEEP) {
    slots = (params.seqlen + 3u) / 4u + 1u;
  }
  return ((b * slots + slot) * D_INNER + d) * D_STATE + n;
}

fn initial_state(b: u32, slot: u32, d: u32, n: u32) -> vec4<f32> {
  let i = state_start(b, slot, d, n);
  if (D_STATE % 4u == 0u) {
    return select(vec4<f32>(0.0), ssm_state[i / 4u], exist(d, n));
  }
  let values = vec4<f32>(
    state_elements[i], state_elements[i + 1u], state_elements[i + 2u], state_elements[i + 3u]);
  return select(vec4<f32>(0.0), values, exist(d, n));
}

fn store_element(i: u32, exists: bool, value: f32) {
  if (exists) {
    state_elements[i] = value;
  }
}

fn store_state(b: u32, slot: u32, d: u32, n: u32, h: vec4<f32>) {
  let i = state_start(b, slot, d, n);
  let exists = exist(d, n);
  if (D_STATE % 4u == 0u) {
    if (exists.x) {
      ssm_state[i / 4u] = h;
    }
  } else {
    store_element(i, exists.x, h.x);
    store_element(i + 1u, exists.y, h.y);
    store_element(i + 2u, exists.z, h.z);
    store_element(i + 3u, exists.w, h.w);
  }
}

// What a lane brings of a tile's B and C, its first two vectors of either, read a tile ahead.
struct Shared {
  B_0: vec4<f32>,
  B_1: vec4<f32>,
  C_0: vec4<f32>,
  C_1: vec4<f32>,
}

// Vector i of a tile's B or C, whose columns begin at `first`: [step][lane].
fn shared_vector(b: u32, t0: u32, first: u32, i: u32) -> vec4<f32> {
  return B_or_C(b, t0 + i / LANES, first, i % LANES * 4u);
}

fn shared_at(b: u32, t0: u32, index: u32) -> Shared {
  var own: Shared;
  if (CHANNELS > 1u) {
    own.B_0 = shared_vector(b, t0, DT_RANK, index);
    own.B_1 = shared_vector(b, t0, DT_RANK, index + SIZE);
    own.C_0 = shared_vector(b, t0, DT_RANK + D_STATE, index);
    own.C_1 = shared_vector(b, t0, DT_RANK + D_STATE, index + SIZE);
  }
  return own;
}

fn bring_shared(b: u32, t0: u32, index: u32, own: Shared) {
  if (CHANNELS > 1u) {
    if (index < SHARED) {
      B_tile[index] = own.B_0;
      C_tile[index] = own.C_0;
    }
    if (index + SIZE < SHARED) {
      B_tile[index + SIZE] = own.B_1;
      C_tile[index + SIZE] = own.C_1;
    }
    for (var i = index + 2u * SIZE; i < SHARED; i += SIZE) {
      B_tile[i] = shared_vector(b, t0, DT_RANK, i);
      C_tile[i] = shared_vector(b, t0, DT_RANK + D_STATE, i);
    }
  }
}

fn B_at(b: u32, t0: u32, step: u32, lane: u32) -> vec4<f32> {
  if (CHANNELS > 1u) {
    return B_tile[step * LANES + lane];
  }
  return B_or_C(b, t0 + step, DT_RANK, 4u * lane);
}

fn C_at(b: u32, t0: u32, step: u32, lane: u32) -> vec4<f32> {
  if (CHANNELS > 1u) {
    return C_tile[step * LANES + lane];
  }
  return B_or_C(b, t0 + step, DT_RANK + D_STATE, 4u * lane);
}

// The state after a group of 4 steps of a tile, from that before them, with y_parts of them.
fn add_group(h: vec4<f32>, A: vec4<f32>, b: u32, t0: u32, group: u32, d: u32, channel: u32, lane: u32) -> vec4<f32> {
  let t = 4u * group;
  let dts = dt_tile[group * CHANNELS + channel];
  let dtus = dtu_tile[group * CHANNELS + channel];
  let h_0 = exp2(dts.x * A) * h + dtus.x * B_at(b, t0, t, lane);
  let h_1 = exp2(dts.y * A) * h_0 + dtus.y * B_at(b, t0, t + 1u, lane);
  let h_2 = exp2(dts.z * A) * h_1 + dtus.z * B_at(b, t0, t + 2u, lane);
  let h_3 = exp2(dts.w * A) * h_2 + dtus.w * B_at(b, t0, t + 3u, lane);
  y_parts[group * SIZE + lane * CHANNELS + channel] = vec4<f32>(
    dot(C_at(b, t0, t, lane), h_0), dot(C_at(b, t0, t + 1u, lane), h_1),
    dot(C_at(b, t0, t + 2u, lane), h_2), dot(C_at(b, t0, t + 3u, lane), h_3));
  if (KEEP && t0 + t < params.seqlen) {
    store_state(b, (t0 + t) / 4u + 1u, d, 4u * lane, h_3);
  }
  return h_3;
}

// Sum over the lanes of a group's parts of y.
fn sum_of_parts(group: u32, channel: u32) -> vec4<f32> {
  let i = group * SIZE + channel;
  if (LANES == 4u) {
    return (y_parts[i] + y_parts[i + CHANNELS]) + (y_parts[i + 2u * CHANNELS] + y_parts[i + 3u * CHANNELS]);
  }
  var sum = y_parts[i];
  for (var lane = 1u; lane < LANES; lane++) {
    sum += y_parts[i + lane * CHANNELS];
  }
  return sum;
}

fn store_y(b: u32, t: u32, d: u32, value: f32) {
  if (t < params.seqlen && d < D_INNER) {
    y[(b * params.seqlen + t) * D_INNER + d] = value;
  }
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
                      @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let d = wid.x * CHANNELS + lid.x;
  let lane = lid.y;
  let n = 4u * lane; // of this lane's states
  let A = A_2(d, n);
  let own_D = D[min(d, D_INNER - 1u)];
  let has_group = lane < GROUPS;
  let begin = select(0u, wid.z * CHUNK, CHUNKED);
  let end = select(params.seqlen, min(begin + CHUNK, params.seqlen), CHUNKED);
  var h = initial_state(b, select(0u, wid.z, CHUNKED), d, n);
  var next = inputs_at(b, begin + 4u * lane, d);
  var next_shared = shared_at(b, begin, index);
  for (var t0 = begin; t0 < end; t0 += TILE) {
    let own = next;
    let own_t = t0 + 4u * lane;
    if (has_group) {
      let raw = own.dt;
      let values = vec4<f32>(softplus(raw.x), softplus(raw.y), softplus(raw.z), softplus(raw.w));
      let own_dt = select(vec4<f32>(0.0), values, are_steps(own_t));
      dt_tile[lane * CHANNELS + lid.x] = own_dt;
      dtu_tile[lane * CHANNELS + lid.x] = own_dt * own.u;
    }
    bring_shared(b, t0, index, next_shared);
    workgroupBarrier();
    next = inputs_at(b, own_t + TILE, d);
    next_shared = shared_at(b, t0 + TILE, index);
    // Written out: no compiler unrolls a loop that naga has bounded, and each of its turns would wait for its loads.
    h = add_group(h, A, b, t0, 0u, d, lid.x, lane);
    if (GROUPS > 1u) {
      h = add_group(h, A, b, t0, 1u, d, lid.x, lane);
    }
    if (GROUPS > 2u) {
      h = add_group(h, A, b, t0, 2u, d, lid.x, lane);
    }
    if (GROUPS > 3u) {
      h = add_group(h, A, b, t0, 3u, d, lid.x, lane);
    }
    workgroupBarrier();
    if (has_group) {
      let sums = sum_of_parts(lane, lid.x) + own_D * own.u;
      store_y(b, own_t, d, sums.x * silu(own.z.x));
      store_y(b, own_t + 1u, d, sums.y * silu(own.z.y));
      store_y(b, own_t + 2u, d, sums.z * silu(own.z.z));
      store_y(b, own_t + 3u, d, sums.w * silu(own.z.w));
    }
  }
  if (!KEEP && !CHUNKED) {
    store_state(b, 0u, d, n, h);
  }
}
