// conv1d_fwd: depth-wise causal convolution and SiLU, from any window of past inputs.
//   y[b, t, d] = silu(sum_k weight[d, k] x[b, t - (D_CONV - 1) + k, d] + bias[d])
// Inputs before t = 0 come from conv_state, which holds the last D_CONV inputs, the newest last; the new window is
// written there. One lane per channel and tile of TILE steps. TILE is at least D_CONV - 1, so the first tile's lane is
// the only one that reads or writes its channel's window: no lane can see a window that another has moved on.
override D_INNER: u32;
override D_CONV: u32;
override BIAS: bool;
override TILE: u32;

struct Params {
  seqlen: u32,
  ld_x: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;                // (batch, seqlen, D_INNER) at x_offset, ld_x
@group(0) @binding(1) var<storage, read> weight: array<f32>;           // (D_INNER, D_CONV)
@group(0) @binding(2) var<storage, read> bias: array<f32>;             // (D_INNER)
@group(0) @binding(3) var<storage, read_write> conv_state: array<f32>; // (batch, D_INNER, D_CONV)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;          // (batch, seqlen, D_INNER)
@group(0) @binding(5) var<uniform> params: Params;

// Input at step t of this call; t counts back from 0 into the window of past inputs.
fn input_at(b: u32, d: u32, t: i32) -> f32 {
  if (t >= 0) {
    return x[params.x_offset + (b * params.seqlen + u32(t)) * params.ld_x + d];
  }
  return conv_state[(b * D_INNER + d) * D_CONV + u32(i32(D_CONV) + t)];
}

@compute @workgroup_size(64)
fn conv1d_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * 64u + lane;
  let b = wid.z;
  if (d >= D_INNER) {
    return;
  }
  let first = wid.y * TILE;
  let end = min(first + TILE, params.seqlen);
  for (var t = first; t < end; t++) {
    var sum = 0.0;
    if (BIAS) {
      sum = bias[d];
    }
    for (var k = 0u; k < D_CONV; k++) {
      sum += weight[d * D_CONV + k] * input_at(b, d, i32(t + k) - i32(D_CONV - 1u));
    }
    y[(b * params.seqlen + t) * D_INNER + d] = silu(sum);
  }
  if (first == 0u) {
    // In ascending order each slot is read before it is overwritten, for any seqlen.
    for (var k = 0u; k < D_CONV; k++) {
      conv_state[(b * D_INNER + d) * D_CONV + k] = input_at(b, d, i32(params.seqlen + k) - i32(D_CONV));
    }
  }
}
