// selective_scan_fwd: Mamba-1 recurrence (Gu & Dao 2023, Algorithm 2), from any initial state, with skip and gate.
//   dt = softplus(dt_raw)      A = -exp(A_log)
//   h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]        y[t] = (C[t] . h[t] + D u[t]) silu(z[t])
// A workgroup serves CHANNELS channels of one batch entry with LANES lanes each; a lane keeps 4 of the channel's states
// in registers (LANES * 4 >= D_STATE, the rest are zero). Time is serial, in tiles of TILE steps: inputs of a tile
// come through workgroup memory, and the lanes' parts of y are only added up once a tile, which saves a barrier a step.
// Inference moves ssm_state on in place. Training keeps the state before every chunk of CHUNK steps and the final one.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;   // B and C follow dt_rank columns in x_dbl
override LANES: u32;     // a power of two
override CHANNELS: u32;
override TILE: u32;
override CHUNK: u32;     // a multiple of TILE; 0 in inference

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> u: array<f32>;               // (batch, seqlen, D_INNER)
@group(0) @binding(1) var<storage, read> dt: array<f32>;              // (batch, seqlen, D_INNER), before softplus
@group(0) @binding(2) var<storage, read> x_dbl: array<f32>;           // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(3) var<storage, read> xz: array<f32>;              // (batch, seqlen, 2 D_INNER), z second
@group(0) @binding(4) var<storage, read> A_log: array<f32>;           // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;               // (D_INNER)
@group(0) @binding(6) var<storage, read_write> ssm_state: array<f32>; // (batch, slots, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;         // (batch, seqlen, D_INNER)
@group(0) @binding(8) var<uniform> params: Params;

const STATES = 4u;
var<workgroup> dt_tile: array<f32, TILE * CHANNELS>;
var<workgroup> u_tile: array<f32, TILE * CHANNELS>;
var<workgroup> B_tile: array<vec4<f32>, TILE * LANES>;
var<workgroup> C_tile: array<vec4<f32>, TILE * LANES>;
var<workgroup> y_parts: array<f32, TILE * CHANNELS * LANES>;
var<workgroup> kept: array<f32, CHANNELS * LANES * STATES>; // states on their way out, so that lanes write side by side

// One slot in inference. In training: the state before chunk 0, after chunk 0, ..., after the last chunk.
fn slot_count() -> u32 {
  if (CHUNK == 0u) {
    return 1u;
  }
  return (params.seqlen + max(CHUNK, 1u) - 1u) / max(CHUNK, 1u) + 1u;
}

fn slot_start(b: u32, slot: u32, d: u32) -> u32 {
  return ((b * slot_count() + slot) * D_INNER + d) * D_STATE;
}

fn B_or_C(row: u32, first: u32, lane: u32) -> vec4<f32> {
  var values = vec4<f32>(0.0);
  for (var i = 0u; i < STATES; i++) {
    if (lane * STATES + i < D_STATE) {
      values[i] = x_dbl[row * (DT_RANK + 2u * D_STATE) + first + lane * STATES + i];
    }
  }
  return values;
}

@compute @workgroup_size(LANES, CHANNELS)
fn selective_scan_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
                      @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let d0 = wid.x * CHANNELS;
  let d = d0 + lid.y;
  let first_state = lid.x * STATES;
  var h = vec4<f32>(0.0);
  var A = vec4<f32>(0.0);
  for (var i = 0u; i < STATES; i++) {
    if (d < D_INNER && first_state + i < D_STATE) {
      h[i] = ssm_state[slot_start(b, 0u, d) + first_state + i];
      A[i] = -exp(A_log[d * D_STATE + first_state + i]);
    }
  }
  for (var t0 = 0u; t0 < params.seqlen; t0 += TILE) {
    let steps = min(TILE, params.seqlen - t0);
    for (var i = index; i < steps * CHANNELS; i += LANES * CHANNELS) {
      let channel = d0 + i % CHANNELS;
      if (channel < D_INNER) {
        let element = (b * params.seqlen + t0 + i / CHANNELS) * D_INNER + channel;
        dt_tile[i] = softplus(dt[element]);
        u_tile[i] = u[element];
      }
    }
    for (var i = index; i < steps * LANES; i += LANES * CHANNELS) {
      let row = b * params.seqlen + t0 + i / LANES;
      B_tile[i] = B_or_C(row, DT_RANK, i % LANES);
      C_tile[i] = B_or_C(row, DT_RANK + D_STATE, i % LANES);
    }
    workgroupBarrier();
    for (var t = 0u; t < steps; t++) {
      let dt_t = dt_tile[t * CHANNELS + lid.y];
      h = exp(dt_t * A) * h + (dt_t * u_tile[t * CHANNELS + lid.y]) * B_tile[t * LANES + lid.x];
      y_parts[(t * CHANNELS + lid.y) * LANES + lid.x] = dot(C_tile[t * LANES + lid.x], h);
    }
    workgroupBarrier();
    for (var i = index; i < steps * CHANNELS; i += LANES * CHANNELS) {
      let channel = d0 + i % CHANNELS;
      if (channel < D_INNER) {
        var sum = D[channel] * u_tile[i];
        for (var lane = 0u; lane < LANES; lane++) {
          sum += y_parts[i * LANES + lane];
        }
        let row = b * params.seqlen + t0 + i / CHANNELS;
        y[row * D_INNER + channel] = sum * silu(xz[row * 2u * D_INNER + D_INNER + channel]);
      }
    }
    workgroupBarrier();
    let after = t0 + steps;
    let is_chunk_end = CHUNK > 0u && after % max(CHUNK, 1u) == 0u;
    if (is_chunk_end || after == params.seqlen) {
      for (var i = 0u; i < STATES; i++) {
        if (first_state + i < D_STATE) {
          kept[lid.y * D_STATE + first_state + i] = h[i];
        }
      }
      workgroupBarrier();
      let slot = select(after / max(CHUNK, 1u), slot_count() - 1u, after == params.seqlen);
      for (var i = index; i < min(CHANNELS, D_INNER - d0) * D_STATE; i += LANES * CHANNELS) {
        ssm_state[slot_start(b, slot, d0) + i] = kept[i];
      }
    }
  }
}
