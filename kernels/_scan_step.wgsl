// _scan_step: dt_proj in the kernels of a single step of Mamba-1, few sequences or many, in the order of _chains, which
// this goes after. The kernel declares W_DTYPE and W_STRIDE of dt_weight, which is never quantized.

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
