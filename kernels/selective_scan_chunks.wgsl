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
override TILE: u32 = 4u * GROUPS;

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

// Any values past the last channel.
fn four_of(start: u32, b: u32, t: u32, d: u32) -> vec4<f32> {
  let rows = b * params.seqlen + min(vec4<u32>(t, t + 1u, t + 2u, t + 3u), vec4<u32>(params.seqlen - 1u));
  let i = start + rows * D_INNER + min(d, D_INNER - 1u);
  return vec4<f32>(u_dt[i.x], u_dt[i.y], u_dt[i.z], u_dt[i.w]);
}

fn store_element(i: u32, exists: bool, value: f32) {
  if (exists) {
    chunk_states[i] = value;
  }
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_chunks(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  let b = wid.y;
  let chunk = wid.z;
  let d = wid.x * CHANNELS + lid.x;
  let lane = lid.y;
  let n = 4u * lane; // of this lane's states
  let A = A_2(d, n);
  let begin = chunk * CHUNK;
  let end = min(begin + CHUNK, params.seqlen);
  let has_group = lane < GROUPS;
  var h = vec4<f32>(0.0);
  var dt_sum = 0.0;
  var next_dt = four_of(params.dt_start, b, begin + n, d);
  var next_u = four_of(0u, b, begin + n, d);
  for (var t0 = begin; t0 < end; t0 += TILE) {
    if (has_group) {
      let t = t0 + n;
      let values = vec4<f32>(softplus(next_dt.x), softplus(next_dt.y), softplus(next_dt.z), softplus(next_dt.w));
      let are_steps = vec4<u32>(t, t + 1u, t + 2u, t + 3u) < vec4<u32>(params.seqlen);
      let own_dt = select(vec4<f32>(0.0), values, are_steps);
      dt_tile[lane * CHANNELS + lid.x] = own_dt;
      dtu_tile[lane * CHANNELS + lid.x] = own_dt * next_u;
    }
    workgroupBarrier();
    next_dt = four_of(params.dt_start, b, t0 + TILE + n, d);
    next_u = four_of(0u, b, t0 + TILE + n, d);
    for (var group = 0u; group < GROUPS; group++) {
      let t = t0 + 4u * group;
      let dts = dt_tile[group * CHANNELS + lid.x];
      let dtus = dtu_tile[group * CHANNELS + lid.x];
      h = exp2(dts.x * A) * h + dtus.x * B_or_C(b, t, DT_RANK, n);
      h = exp2(dts.y * A) * h + dtus.y * B_or_C(b, t + 1u, DT_RANK, n);
      h = exp2(dts.z * A) * h + dtus.z * B_or_C(b, t + 2u, DT_RANK, n);
      h = exp2(dts.w * A) * h + dtus.w * B_or_C(b, t + 3u, DT_RANK, n);
      dt_sum += (dts.x + dts.y) + (dts.z + dts.w);
    }
    workgroupBarrier();
  }
  let chunks = (params.seqlen + CHUNK - 1u) / CHUNK;
  let channel = (b * chunks + chunk) * D_INNER + d;
  let i = channel * D_STATE + n;
  let exists = exist(d, n);
  store_element(i, exists.x, h.x);
  store_element(i + 1u, exists.y, h.y);
  store_element(i + 2u, exists.z, h.z);
  store_element(i + 3u, exists.w, h.w);
  store_element(params.sum_start + channel, lane == 0u && d < D_INNER, dt_sum);
}
