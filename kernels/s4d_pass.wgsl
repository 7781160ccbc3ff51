// s4d_pass: states from chunk to chunk, with E = a^chunk of each pair (see s4_series).
//   states[c] = E states[c-1] + states[c]            for c = 1 .. count - 1, from the state before the first chunk
//   states[c] = conj(E) states[c+1] + states[c]      for c = count - 2 .. 0 if REVERSE: gradients, from the last
// chunk on One lane per channel, pair and sequence.
override D_MODEL: u32;
override PAIRS: u32;
override REVERSE: bool;

struct Params {
  slots: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> E: array<f32>;            // (PAIRS, 2, D_MODEL)
@group(0) @binding(1) var<storage, read_write> states: array<f32>; // (batch, slots, PAIRS, 2, D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn s4d_pass(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  let n = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  let factor = vec2<f32>(E[2u * n * D_MODEL + d], E[(2u * n + 1u) * D_MODEL + d]);
  let first = select(0u, params.count - 1u, REVERSE);
  let size = 2u * PAIRS * D_MODEL;
  let start = wid.z * params.slots * size + 2u * n * D_MODEL + d;
  var at = start + first * size;
  var carry = vec2<f32>(states[at], states[at + D_MODEL]);
  for (var i = 1u; i < params.count; i++) {
    if (REVERSE) {
      at -= size;
      carry = conj_mul(factor, carry);
    } else {
      at += size;
      carry = complex_mul(factor, carry);
    }
    carry += vec2<f32>(states[at], states[at + D_MODEL]);
    states[at] = carry.x;
    states[at + D_MODEL] = carry.y;
  }
}
