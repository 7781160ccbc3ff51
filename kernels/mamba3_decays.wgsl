// mamba3_decays: the recurrence of Mamba-3 as Mamba-2's, for the kernels of its chunks: with delta = (1 - lambda) dt
//   S'[t] = exp(dt A) S'[t-1] + (gamma[t] + delta[t+1]) v[t] k[t], delta 0 after the last step
// which is S where that is added in the next step. Each step counts as RANK steps, of which all but the first decay by
// nothing. Written is what ssd_decays writes: the scale, and the sum of dt A since the chunk began.
// A lane per chunk and head goes from step to step.
override NHEADS: u32;
override RANK: u32;
override CHUNK: u32; // a multiple of RANK

struct Params {
  seqlen: u32, // steps, before they are counted RANK times
}

@group(0) @binding(0) var<storage, read> rates: array<vec4<f32>>;        // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(1) var<storage, read_write> decays: array<vec4<f32>>; // (batch, NHEADS, seqlen RANK)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 64u;
const LEAST = -10000.0; // see ssd_decays

@compute @workgroup_size(LANES)
fn mamba3_decays(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x * LANES + lane;
  if (h >= NHEADS) {
    return;
  }
  let head = (wid.z * NHEADS + h) * params.seqlen;
  let t0 = wid.y * (CHUNK / RANK);
  let end = min(t0 + CHUNK / RANK, params.seqlen);
  var whole = 0.0;
  var fraction = 0.0;
  for (var t = t0; t < end; t++) {
    let rate = rates[head + t];
    let dtA = max(rate.y, LEAST);
    let floored = floor(dtA);
    whole += floored;
    fraction += dtA - floored;
    if (fraction >= 1.0) {
      whole += 1.0;
      fraction -= 1.0;
    }
    var scale = rate.z;
    if (t + 1u < params.seqlen) {
      scale += rates[head + t + 1u].w;
    }
    let decay = vec4<f32>(scale, whole, fraction, exp(whole + fraction));
    for (var r = 0u; r < RANK; r++) {
      decays[(head + t) * RANK + r] = decay;
    }
  }
}
