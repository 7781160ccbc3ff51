// mamba3_carry: the state of Mamba-3 at the borders of a sequence, for the form that mamba3_decays has:
//   S' = S + (1 - lambda[0]) dt[0] sum over r of v_prev[r] k_prev[r]     v_prev[r] = v mimo_x[r]
// and then k and v of the last step take the places of those of the step before the first.
// A workgroup per head.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;
override MIMO: bool;
override D_IN_PROJ: u32;
override D_INNER: u32 = NHEADS * HEADDIM;
override D_VKQ: u32 = D_INNER + 2u * NHEADS * D_STATE;

struct Params {
  seqlen: u32,
  slots: u32, // states of each sequence in ssm_state, of which the first is meant
}

@group(0) @binding(0) var<storage, read> rates: array<vec4<f32>>;     // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(1) var<storage, read> vkq: array<f32>;             // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(2) var<storage, read> zxBCdt: array<f32>;          // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(3) var<storage, read> mimo_x: array<f32>;          // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(4) var<storage, read_write> ssm_state: array<f32>; // (batch, slots, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(5) var<storage, read_write> k: array<f32>;         // (batch, RANK, NHEADS, D_STATE)
@group(0) @binding(6) var<storage, read_write> v: array<f32>;         // (batch, NHEADS, HEADDIM)
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn mamba3_carry(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let delta = rates[(b * NHEADS + h) * params.seqlen].w;
  let state = (b * params.slots * NHEADS + h) * HEADDIM * D_STATE;
  for (var i = lane; i < HEADDIM * D_STATE; i += LANES) {
    let p = i / D_STATE;
    let n = i % D_STATE;
    var sum = 0.0;
    for (var r = 0u; r < RANK; r++) {
      var factor = k[((b * RANK + r) * NHEADS + h) * D_STATE + n];
      if (MIMO) {
        factor *= mimo_x[(h * RANK + r) * HEADDIM + p];
      }
      sum += factor;
    }
    ssm_state[state + i] += delta * v[(b * NHEADS + h) * HEADDIM + p] * sum;
  }
  storageBarrier();
  let last = (b + 1u) * params.seqlen - 1u;
  for (var i = lane; i < RANK * D_STATE; i += LANES) {
    let r = i / D_STATE;
    let n = i % D_STATE;
    k[((b * RANK + r) * NHEADS + h) * D_STATE + n] = vkq[(last * RANK + r) * D_VKQ + D_INNER + h * D_STATE + n];
  }
  for (var p = lane; p < HEADDIM; p += LANES) {
    v[(b * NHEADS + h) * HEADDIM + p] = zxBCdt[last * D_IN_PROJ + D_INNER + h * HEADDIM + p];
  }
}
