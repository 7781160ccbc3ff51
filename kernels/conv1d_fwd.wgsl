// conv1d_fwd: depth-wise causal convolution and SiLU, from any window of past inputs.
//   y[b, t, d] = silu(sum_k weight[d, k] x[b, t - (D_CONV - 1) + k, d] + bias[d])
// Inputs before t = 0 come from conv_state, which holds the last D_CONV inputs, the newest last; the new window is
// written there. One lane per channel and tile of TILE steps. TILE is at least D_CONV - 1 and 32, so the first tile's
// lane is the only one that reads or writes its channel's window: no lane can see a window that another has moved on.
// The newest 32 inputs slide through registers four steps at a time, the weights beside them; a longer window's others
// come from memory.
override D_INNER: u32;
override D_CONV: u32;
override BIAS: bool;
override TILE: u32;
override VECS: u32 = (min(D_CONV, 32u) + 3u) / 4u; // vectors of the window that have weights

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

fn store_y(b: u32, d: u32, t: u32, end: u32, sum: f32) {
  if (t < end) {
    y[(b * params.seqlen + t) * D_INNER + d] = silu(sum);
  }
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
  var own_bias = 0.0;
  if (BIAS) {
    own_bias = bias[d];
  }
  let weights = window_of_weights(d);
  var inputs = window_before(b, d, i32(first));
  var next = inputs_at(b, d, i32(first)); // their loads run ahead of what is computed
  for (var t = first; t < end; t += 4u) {
    let steps = next;
    next = inputs_at(b, d, i32(t + 4u));
    var sums = own_bias + window_steps(inputs, steps, weights, VECS);
    for (var k = 0u; k + 32u < D_CONV; k++) {
      sums += weight[d * D_CONV + k] * inputs_at(b, d, i32(t + k) - i32(D_CONV - 1u));
    }
    inputs = window_slide(inputs, steps);
    store_y(b, d, t, end, sums.x);
    store_y(b, d, t + 1u, end, sums.y);
    store_y(b, d, t + 2u, end, sums.z);
    store_y(b, d, t + 3u, end, sums.w);
  }
  if (first == 0u) {
    // In ascending order each slot is read before it is overwritten, for any seqlen.
    for (var k = 0u; k < D_CONV; k++) {
      conv_state[(b * D_INNER + d) * D_CONV + k] = input_at(b, d, i32(params.seqlen + k) - i32(D_CONV));
    }
  }
}
