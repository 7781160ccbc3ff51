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

// Input at step t of this call; t counts back from 0 into the window of past inputs. What is older than it is 0.
fn input_at(b: u32, d: u32, t: i32) -> f32 {
  if (t >= i32(params.seqlen) || t < -i32(D_CONV)) {
    return 0.0;
  }
  if (t >= 0) {
    return x[params.x_offset + (b * params.seqlen + u32(t)) * params.ld_x + d];
  }
  return conv_state[(b * D_INNER + d) * D_CONV + u32(i32(D_CONV) + t)];
}

fn inputs_at(b: u32, d: u32, t: i32) -> vec4<f32> {
  return vec4<f32>(input_at(b, d, t), input_at(b, d, t + 1), input_at(b, d, t + 2), input_at(b, d, t + 3));
}

// The inputs before step t.
fn window_before(b: u32, d: u32, t: i32) -> Window {
  var w: Window;
  w.h = inputs_at(b, d, t - 4);
  if (VECS > 1u) {
    w.g = inputs_at(b, d, t - 8);
  }
  if (VECS > 2u) {
    w.f = inputs_at(b, d, t - 12);
    w.e = inputs_at(b, d, t - 16);
  }
  if (VECS > 4u) {
    w.d = inputs_at(b, d, t - 20);
    w.c = inputs_at(b, d, t - 24);
    w.b = inputs_at(b, d, t - 28);
    w.a = inputs_at(b, d, t - 32);
  }
  return w;
}

fn weight_at(d: u32, k: i32) -> f32 {
  return select(0.0, weight[d * D_CONV + u32(max(k, 0))], k >= 0);
}

// The weights of four values, the newest of which is `back` steps old.
fn weights_at(d: u32, back: u32) -> vec4<f32> {
  let k = i32(D_CONV - 1u) - i32(back);
  return vec4<f32>(weight_at(d, k - 3), weight_at(d, k - 2), weight_at(d, k - 1), weight_at(d, k));
}

fn window_of_weights(d: u32) -> Window {
  return Window(
    weights_at(d, 28u), weights_at(d, 24u), weights_at(d, 20u), weights_at(d, 16u),
    weights_at(d, 12u), weights_at(d, 8u), weights_at(d, 4u), weights_at(d, 0u));
}

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
