// selective_scan_chunks: what a chunk of the Mamba-1 recurrence adds to the state, and the sum of its dt, by which the
// state before it decays: h_after = exp(A sum_t dt[t]) h_before + h_local. Chunks run side by side, where a sequence
// alone leaves a device idle; selective_scan_pass goes through them. As in selective_scan_fwd a workgroup serves
// CHANNELS channels with LANES lanes each, here of one chunk of CHUNK steps; a lane keeps 4 of the channel's states,
// and brings the inputs of group g of its channel.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;  // B and C follow dt_rank columns in x_dbl
override LANES: u32;
override CHANNELS: u32;
override GROUPS: u32;   // of 4 steps each, at most LANES
override CHUNK: u32;    // a multiple of TILE
override SIZE: u32 = LANES * CHANNELS;
override TILE: u32 = 4u * GROUPS;
override SHARED: u32 = select(1u, TILE * LANES, CHANNELS > 1u); // B of a tile, where channels share it

struct Params {
  seqlen: u32,
  dt_start: u32,  // where dt (batch, seqlen, D_INNER), before softplus, begins in u_dt
  sum_start: u32, // where the sums of dt (batch, chunks, D_INNER) begin in chunk_states
}

@group(0) @binding(0) var<storage, read> u_dt: array<f32>;               // (batch, seqlen, D_INNER); dt
@group(0) @binding(1) var<storage, read> x_dbl: array<vec4<f32>>;        // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(2) var<storage, read> A_log: array<f32>;              // (D_INNER, D_STATE)
@group(0) @binding(3) var<storage, read_write> chunk_states: array<f32>; // (batch, chunks, D_INNER, D_STATE); the sums
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> dt_tile: array<vec4<f32>, GROUPS * CHANNELS>;  // [group][channel]: 4 steps of dt after softplus ...
var<workgroup> dtu_tile: array<vec4<f32>, GROUPS * CHANNELS>; // ... and of dt u
var<workgroup> B_tile: array<vec4<f32>, SHARED>;              // [step][lane]

// Any values past the last channel.
fn four_of(start: u32, b: u32, t: u32, d: u32) -> vec4<f32> {
  let rows = b * params.seqlen + min(vec4<u32>(t, t + 1u, t + 2u, t + 3u), vec4<u32>(params.seqlen - 1u));
  let i = start + rows * D_INNER + min(d, D_INNER - 1u);
  return vec4<f32>(u_dt[i.x], u_dt[i.y], u_dt[i.z], u_dt[i.w]);
}

// Vector i of a tile's B: [step][lane].
fn shared_vector(b: u32, t0: u32, i: u32) -> vec4<f32> {
  return B_or_C(b, t0 + i / LANES, DT_RANK, i % LANES * 4u);
}

// What a lane brings of a tile's B, its first two vectors, read a tile ahead.
struct Shared {
  B_0: vec4<f32>,
  B_1: vec4<f32>,
}

fn shared_at(b: u32, t0: u32, index: u32) -> Shared {
  var own: Shared;
  if (CHANNELS > 1u) {
    own = Shared(shared_vector(b, t0, index), shared_vector(b, t0, index + SIZE));
  }
  return own;
}

fn bring_shared(b: u32, t0: u32, index: u32, own: Shared) {
  if (CHANNELS > 1u) {
    if (index < SHARED) {
      B_tile[index] = own.B_0;
    }
    if (index + SIZE < SHARED) {
      B_tile[index + SIZE] = own.B_1;
    }
    for (var i = index + 2u * SIZE; i < SHARED; i += SIZE) {
      B_tile[i] = shared_vector(b, t0, i);
    }
  }
}

fn B_at(b: u32, t0: u32, step: u32, lane: u32) -> vec4<f32> {
  if (CHANNELS > 1u) {
    return B_tile[step * LANES + lane];
  }
  return B_or_C(b, t0 + step, DT_RANK, 4u * lane);
}

// What a lane knows after some steps: its states, and the sum of dt.
struct Sums {
  h: vec4<f32>,
  dt: f32,
}

// The same after a group of 4 steps of a tile.
fn add_group(sums: Sums, A: vec4<f32>, b: u32, t0: u32, group: u32, channel: u32, lane: u32) -> Sums {
  let t = 4u * group;
  let dts = dt_tile[group * CHANNELS + channel];
  let dtus = dtu_tile[group * CHANNELS + channel];
  let h_0 = exp2(dts.x * A) * sums.h + dtus.x * B_at(b, t0, t, lane);
  let h_1 = exp2(dts.y * A) * h_0 + dtus.y * B_at(b, t0, t + 1u, lane);
  let h_2 = exp2(dts.z * A) * h_1 + dtus.z * B_at(b, t0, t + 2u, lane);
  let h_3 = exp2(dts.w * A) * h_2 + dtus.w * B_at(b, t0, t + 3u, lane);
  return Sums(h_3, sums.dt + ((dts.x + dts.y) + (dts.z + dts.w)));
}

fn store_element(i: u32, exists: bool, value: f32) {
  if (exists) {
    chunk_states[i] = value;
  }
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_chunks(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
                         @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let chunk = wid.z;
  let d = wid.x * CHANNELS + lid.x;
  let lane = lid.y;
  let n = 4u * lane; // of this lane's states
  let A = A_2(d, n);
  let begin = chunk * CHUNK;
  let end = min(begin + CHUNK, params.seqlen);
  let has_group = lane < GROUPS;
  var sums = Sums(vec4<f32>(0.0), 0.0);
  var next_dt = four_of(params.dt_start, b, begin + n, d);
  var next_u = four_of(0u, b, begin + n, d);
  var next_shared = shared_at(b, begin, index);
  for (var t0 = begin; t0 < end; t0 += TILE) {
    if (has_group) {
      let t = t0 + n;
      let values = vec4<f32>(softplus(next_dt.x), softplus(next_dt.y), softplus(next_dt.z), softplus(next_dt.w));
      let are_steps = vec4<u32>(t, t + 1u, t + 2u, t + 3u) < vec4<u32>(params.seqlen);
      let own_dt = select(vec4<f32>(0.0), values, are_steps);
      dt_tile[lane * CHANNELS + lid.x] = own_dt;
      dtu_tile[lane * CHANNELS + lid.x] = own_dt * next_u;
    }
    bring_shared(b, t0, index, next_shared);
    workgroupBarrier();
    next_dt = four_of(params.dt_start, b, t0 + TILE + n, d);
    next_u = four_of(0u, b, t0 + TILE + n, d);
    next_shared = shared_at(b, t0 + TILE, index);
    // Written out: see selective_scan_fwd.
    sums = add_group(sums, A, b, t0, 0u, lid.x, lane);
    if (GROUPS > 1u) {
      sums = add_group(sums, A, b, t0, 1u, lid.x, lane);
    }
    if (GROUPS > 2u) {
      sums = add_group(sums, A, b, t0, 2u, lid.x, lane);
    }
    if (GROUPS > 3u) {
      sums = add_group(sums, A, b, t0, 3u, lid.x, lane);
    }
    workgroupBarrier();
  }
  let chunks = (params.seqlen + CHUNK - 1u) / CHUNK;
  let channel = (b * chunks + chunk) * D_INNER + d;
  let i = channel * D_STATE + n;
  let exists = exist(d, n);
  store_element(i, exists.x, sums.h.x);
  store_element(i + 1u, exists.y, sums.h.y);
  store_element(i + 2u, exists.z, sums.h.z);
  store_element(i + 3u, exists.w, sums.h.w);
  store_element(params.sum_start + channel, lane == 0u && d < D_INNER, sums.dt);
}
