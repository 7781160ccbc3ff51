// _scan_step: what the kernels of a single step of Mamba-1 share, few sequences or many: every sum in one order.
//   dt_low . dt_weight   as _chains says
//   C . h                four sums by fma(), of which i takes fours of states i, i + 4, ...; then these in order
// Goes after _chains. The kernel declares W_DTYPE and W_STRIDE of dt_weight, which is never quantized.
const STATE_SUMS = 4u;

// Fours of columns in a chunk, and chunks in a row of dt_weight.
fn dt_quads() -> u32 {
  return select(2u, 1u, W_DTYPE == DTYPE_F32);
}

fn dt_chunks() -> u32 {
  return W_STRIDE / (4u * dt_quads());
}

// Chains that have a chunk, and those that fill up their last group.
fn dt_chains() -> u32 {
  return (min(CHAINS, dt_chunks()) + GROUP_CHAINS - 1u) / GROUP_CHAINS * GROUP_CHAINS;
}

// Four of a chunk's weights.
fn dt_weights(words: vec4<u32>, quad: u32) -> vec4<f32> {
  if (W_DTYPE == DTYPE_F32) {
    return bitcast<vec4<f32>>(words);
  }
  let half = select(words.xy, words.zw, quad == 1u);
  if (W_DTYPE == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

fn next_states(h: vec4<f32>, A: vec4<f32>, B: vec4<f32>, dt: f32, dt_u: f32) -> vec4<f32> {
  return fma(exp(dt * A), h, dt_u * B);
}

// y from C . h
fn gated(sum: f32, D: f32, u: f32, z: f32) -> f32 {
  return fma(D, u, sum) * silu(z);
}
