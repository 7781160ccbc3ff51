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
override LANES: u32;
override CHANNELS: u32;
override TILE: u32;      // a multiple of CHUNK
override CHUNK: u32;     // TILE in inference
override KEEP: bool;     // whether this is training
override SIZE: u32 = LANES * CHANNELS;

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

const LOG2_E = 1.442695;
var<workgroup> tile: array<vec4<f32>, TILE * CHANNELS>; // dt after softplus, dt u, D u, silu(z)
var<workgroup> B_tile: array<vec4<f32>, TILE * LANES>;
var<workgroup> C_tile: array<vec4<f32>, TILE * LANES>;
var<workgroup> y_parts: array<f32, TILE * SIZE>;
var<workgroup> kept: array<vec4<f32>, SIZE>; // states on their way out, so that lanes write side by side

// One slot in inference. In training: the state before chunk 0, after chunk 0, ..., after the last chunk.
fn slot_count() -> u32 {
  return select(1u, (params.seqlen + CHUNK - 1u) / CHUNK + 1u, KEEP);
}

fn slot_start(b: u32, slot: u32, d: u32) -> u32 {
  return ((b * slot_count() + slot) * D_INNER + d) * D_STATE;
}

// Which of the states n to n + 3 there are, of channels that there are.
fn exist(d: u32, n: u32) -> vec4<bool> {
  return (vec4<u32>(n) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(D_STATE)) & vec4<bool>(d < D_INNER);
}

fn initial_state(b: u32, d: u32, n: u32) -> vec4<f32> {
  let i = slot_start(b, 0u, d) + n;
  let values = vec4<f32>(ssm_state[i], ssm_state[i + 1u], ssm_state[i + 2u], ssm_state[i + 3u]);
  return select(vec4<f32>(0.0), values, exist(d, n));
}

// A / ln 2, for powers of 2.
fn A_2(d: u32, n: u32) -> vec4<f32> {
  let i = d * D_STATE + n;
  let values = -LOG2_E * exp(vec4<f32>(A_log[i], A_log[i + 1u], A_log[i + 2u], A_log[i + 3u]));
  return select(vec4<f32>(0.0), values, exist(d, n));
}

fn B_or_C(row: u32, first: u32, n: u32) -> vec4<f32> {
  let i = row * (DT_RANK + 2u * D_STATE) + first + n;
  return select(vec4<f32>(0.0), vec4<f32>(x_dbl[i], x_dbl[i + 1u], x_dbl[i + 2u], x_dbl[i + 3u]), exist(0u, n));
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
                      @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let d0 = wid.x * CHANNELS;
  let d = d0 + lid.x;
  let n = 4u * lid.y; // of this lane's states
  let A = A_2(d, n);
  var h = initial_state(b, d, n);
  var own_D = 0.0;
  if (d < D_INNER) {
    own_D = D[d];
  }
  for (var t0 = 0u; t0 < params.seqlen; t0 += TILE) {
    let steps = min(TILE, params.seqlen - t0);
    let row0 = b * params.seqlen + t0;
    // Elements (step, channel) go around by the workgroup's size: an invocation always has its own channel.
    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      let row = row0 + i / CHANNELS;
      if (d < D_INNER) {
        let dt_t = softplus(dt[row * D_INNER + d]);
        let u_t = u[row * D_INNER + d];
        tile[i] = vec4<f32>(dt_t, dt_t * u_t, own_D * u_t, silu(xz[row * 2u * D_INNER + D_INNER + d]));
      }
    }
    for (var i = index; i < steps * LANES; i += SIZE) {
      B_tile[i] = B_or_C(row0 + i / LANES, DT_RANK, i % LANES * 4u);
      C_tile[i] = B_or_C(row0 + i / LANES, DT_RANK + D_STATE, i % LANES * 4u);
    }
    workgroupBarrier();
    for (var start = 0u; start < steps; start += CHUNK) {
      let end = min(start + CHUNK, steps);
      for (var t = start; t < end; t++) {
        let values = tile[t * CHANNELS + lid.x];
        h = exp2(values.x * A) * h + values.y * B_tile[t * LANES + lid.y];
        y_parts[t * SIZE + index] = dot(C_tile[t * LANES + lid.y], h);
      }
      let is_last = t0 + end == params.seqlen;
      if (KEEP || is_last) {
        kept[index] = h;
        workgroupBarrier();
        let slot = select((t0 + end) / CHUNK, slot_count() - 1u, is_last);
        for (var i = index; i < min(CHANNELS, D_INNER - d0) * D_STATE; i += SIZE) {
          ssm_state[slot_start(b, slot, d0) + i] = kept[i % D_STATE / 4u * CHANNELS + i / D_STATE][i % D_STATE % 4u];
        }
        workgroupBarrier();
      }
    }
    workgroupBarrier();
    for (var i = index; i < steps * CHANNELS; i += SIZE) {
      if (d < D_INNER) {
        var sum = tile[i].z;
        for (var lane = 0u; lane < LANES; lane++) {
          sum += y_parts[i / CHANNELS * SIZE + lane * CHANNELS + lid.x];
        }
        y[(row0 + i / CHANNELS) * D_INNER + d] = sum * tile[i].w;
      }
    }
    workgroupBarrier();
  }
}
