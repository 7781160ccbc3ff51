// ssd_pass: carries the state from chunk to chunk. With S what ssd_states left of a chunk:
//   state after the chunk = exp(sum[last]) state before it + S
// In place of S comes the state before the chunk, and ssm_state moves on. KEEP, for training: states has a slot more,
// the first being the initial state; S of chunk c is in slot c + 1, where the state after the chunk takes its place.
// REVERSE: the same from the last chunk to the first. In place of S comes the gradient of the state after its chunk,
// and ssm_state, the gradient of the final state, becomes that of the initial one.
// One lane per element of the state; the values of 4 chunks are on their way at a time.
override NHEADS: u32;
override SIZE: u32;      // headdim d_state
override CHUNK: u32;
override KEEP: bool;
override REVERSE: bool;
override FROM_ZERO: bool; // whether zeros are carried into the first chunk, whatever ssm_state holds

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> decays: array<vec4<f32>>;    // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(1) var<storage, read_write> states: array<f32>;    // (batch, slots, NHEADS, headdim, d_state)
@group(0) @binding(2) var<storage, read_write> ssm_state: array<f32>; // (batch, NHEADS, headdim, d_state)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 64u;

fn chunk_count() -> u32 {
  return (params.seqlen + CHUNK - 1u) / CHUNK;
}

// The i-th chunk on the way.
fn chunk_at(i: u32) -> u32 {
  return select(i, chunk_count() - 1u - i, REVERSE);
}

fn element_at(b: u32, slot: u32, e: u32) -> u32 {
  return (b * (chunk_count() + u32(KEEP)) + slot) * NHEADS * SIZE + e;
}

// exp(sum[last]) and S of the i-th chunk.
fn factor_and_S(b: u32, i: u32, e: u32) -> vec2<f32> {
  if (i >= chunk_count()) {
    return vec2<f32>(0.0);
  }
  let chunk = chunk_at(i);
  let last = min((chunk + 1u) * CHUNK, params.seqlen) - 1u;
  return vec2<f32>(decays[(b * NHEADS + e / SIZE) * params.seqlen + last].w,
                   states[element_at(b, chunk + u32(KEEP), e)]);
}

// Stores what belongs in the place of S, and returns what is carried on.
fn pass_on(b: u32, i: u32, e: u32, carry: f32, values: vec2<f32>) -> f32 {
  if (i >= chunk_count()) {
    return carry;
  }
  let next = values.x * carry + values.y;
  states[element_at(b, chunk_at(i) + u32(KEEP), e)] = select(carry, next, KEEP);
  return next;
}

@compute @workgroup_size(LANES)
fn ssd_pass(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let e = wid.x * LANES + lane;
  let b = wid.y;
  if (e >= NHEADS * SIZE) {
    return;
  }
  var carry = 0.0;
  if (KEEP) {
    carry = states[element_at(b, 0u, e)];
  } else if (!FROM_ZERO) {
    carry = ssm_state[b * NHEADS * SIZE + e];
  }
  for (var i = 0u; i < chunk_count(); i += 4u) {
    let values0 = factor_and_S(b, i, e);
    let values1 = factor_and_S(b, i + 1u, e);
    let values2 = factor_and_S(b, i + 2u, e);
    let values3 = factor_and_S(b, i + 3u, e);
    carry = pass_on(b, i, e, carry, values0);
    carry = pass_on(b, i + 1u, e, carry, values1);
    carry = pass_on(b, i + 2u, e, carry, values2);
    carry = pass_on(b, i + 3u, e, carry, values3);
  }
  if (!KEEP) {
    ssm_state[b * NHEADS * SIZE + e] = carry;
  }
}
