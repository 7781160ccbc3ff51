// s4d_pass_bwd: the gradient of s4d_pass's E: grad_E[n] = sum over sequences and c of conj(states[c]) grad_states[c+1],
// for c = 0 .. count - 2, with the gradient of the state before each chunk in grad_states.
// One lane per channel and pair, which adds up one after the other.
override D_MODEL: u32;
override PAIRS: u32;

struct Params {
  batch: u32,
  slots: u32,
  grad_slots: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> states: array<f32>;       // (batch, slots, PAIRS, 2, D_MODEL)
@group(0) @binding(1) var<storage, read> grad_states: array<f32>;  // (batch, grad_slots, PAIRS, 2, D_MODEL)
@group(0) @binding(2) var<storage, read_write> grad_E: array<f32>; // (PAIRS, 2, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn s4d_pass_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  let n = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  var sum = vec2<f32>(0.0);
  for (var b = 0u; b < params.batch; b++) {
    for (var c = 0u; c + 1u < params.count; c++) {
      let at = (((b * params.slots + c) * PAIRS + n) * 2u) * D_MODEL + d;
      let g = (((b * params.grad_slots + c + 1u) * PAIRS + n) * 2u) * D_MODEL + d;
      sum += conj_mul(vec2<f32>(states[at], states[at + D_MODEL]),
                      vec2<f32>(grad_states[g], grad_states[g + D_MODEL]));
    }
  }
  grad_E[2u * n * D_MODEL + d] = sum.x;
  grad_E[(2u * n + 1u) * D_MODEL + d] = sum.y;
}
