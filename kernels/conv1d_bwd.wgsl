// conv1d_bwd: gradients of conv1d_fwd, its SiLU included.
//   s[t] = sum_k weight[k] x[t - (D_CONV - 1) + k] + bias      g[t] = grad_y[t] silu'(s[t]), 0 from seqlen on
//   grad_x[t] = sum_k weight[k] g[t + D_CONV - 1 - k]          grad_weight[k] = sum_t g[t] x[t - (D_CONV - 1) + k]
// x before t = 0 is conv_state, the window before the forward, and grad_x there is grad_conv_state. The last D_CONV
// inputs are the final window and get its gradient, too. One lane per channel and segment of steps: it goes on for the
// D_CONV - 1 steps after its segment, whose g its last inputs need. The last inputs and g slide through registers four
// steps at a time, the weights, 0 past D_CONV, beside them.
// grad_weight and grad_bias are left as partials by batch entry and segment.
override D_INNER: u32;
override D_CONV: u32;      // at most 32
override BIAS: bool;
override GRAD_FINAL: bool; // whether there is a gradient of the final window; if not, it is zero
override VECS: u32 = (D_CONV + 3u) / 4u; // vectors of the windows that have weights

struct Params {
  seqlen: u32,
  ld_x: u32,
  x_offset: u32,
  ld_grad_x: u32,
  grad_x_offset: u32,
  segment: u32,         // steps of a segment
  bias_start: u32,      // where bias (D_INNER) begins in weight,
  grad_bias_start: u32, // and its partials in grad_params
}

@group(0) @binding(0) var<storage, read> x: array<f32>;                     // (batch, seqlen, D_INNER) at x_offset
@group(0) @binding(1) var<storage, read> weight: array<f32>;                // (D_INNER, D_CONV); bias
@group(0) @binding(2) var<storage, read> conv_state: array<f32>;            // (batch, D_INNER, D_CONV)
@group(0) @binding(3) var<storage, read> grad_y: array<f32>;                // (batch, seqlen, D_INNER)
@group(0) @binding(4) var<storage, read> grad_final: array<f32>;            // (batch, D_INNER, D_CONV)
@group(0) @binding(5) var<storage, read_write> grad_x: array<f32>;          // (batch, seqlen, D_INNER), like x
@group(0) @binding(6) var<storage, read_write> grad_conv_state: array<f32>; // (batch, D_INNER, D_CONV)
@group(0) @binding(7) var<storage, read_write> grad_params: array<f32>;     // (parts, D_INNER, D_CONV); bias
@group(0) @binding(8) var<uniform> params: Params;

fn grad_y_at(b: u32, d: u32, t: u32) -> f32 {
  if (t >= params.seqlen) {
    return 0.0;
  }
  return grad_y[(b * params.seqlen + t) * D_INNER + d];
}

fn grads_y_at(b: u32, d: u32, t: u32) -> vec4<f32> {
  return vec4<f32>(grad_y_at(b, d, t), grad_y_at(b, d, t + 1u), grad_y_at(b, d, t + 2u), grad_y_at(b, d, t + 3u));
}

// The weights by which an input D_CONV - 1 steps old reached the outputs of the last four steps before `back`.
fn weights_of_g(d: u32, back: u32) -> vec4<f32> {
  let k = i32(back);
  return vec4<f32>(weight_at(d, k + 3), weight_at(d, k + 2), weight_at(d, k + 1), weight_at(d, k));
}

// What the final window's gradient adds to that of the input at step t.
fn final_at(b: u32, d: u32, t: i32) -> f32 {
  let slot = t - i32(params.seqlen) + i32(D_CONV);
  if (GRAD_FINAL && slot >= 0) {
    return grad_final[(b * D_INNER + d) * D_CONV + u32(slot)];
  }
  return 0.0;
}

fn silu_derivative(v: vec4<f32>) -> vec4<f32> {
  let s = 1.0 / (1.0 + exp(-v));
  return s * (1.0 + v * (1.0 - s));
}

// The gradient of the input at step t, which is one of those from `first` to `end`, or one of the window before.
fn store_grad_x(b: u32, d: u32, t: i32, first: u32, end: u32, value: f32) {
  if (t >= i32(first) && t < i32(end)) {
    let row = b * params.seqlen + u32(t);
    grad_x[params.grad_x_offset + row * params.ld_grad_x + d] = value + final_at(b, d, t);
  } else if (first == 0u && t < 0) {
    grad_conv_state[(b * D_INNER + d) * D_CONV + u32(t + i32(D_CONV))] = value + final_at(b, d, t);
  }
}

// Partial sums of the gradients of the weights of four inputs, the newest of which is `back` steps old.
fn store_weights(start: u32, back: u32, values: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) {
    let age = back + 3u - j;
    if (age < D_CONV) {
      grad_params[start + D_CONV - 1u - age] = values[j];
    }
  }
}

@compute @workgroup_size(64)
fn conv1d_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * 64u + lane;
  let b = wid.z;
  if (d >= D_INNER) {
    return;
  }
  var own_bias = 0.0;
  if (BIAS) {
    own_bias = weight[params.bias_start + d];
  }
  let w = window_of_weights(d);
  let v = Window(
    weights_of_g(d, 28u), weights_of_g(d, 24u), weights_of_g(d, 20u), weights_of_g(d, 16u),
    weights_of_g(d, 12u), weights_of_g(d, 8u), weights_of_g(d, 4u), weights_of_g(d, 0u));
  var w_sum = Window();
  var bias_sum = 0.0;

  let first = wid.y * params.segment;
  let end = min(first + params.segment, params.seqlen);
  // The next steps' loads run ahead of what is computed.
  var inputs = window_before(b, d, i32(first));
  var gradients = Window();
  var next_x = inputs_at(b, d, i32(first));
  var next_grad = grads_y_at(b, d, first);
  if (first == 0u) {
    grad_conv_state[(b * D_INNER + d) * D_CONV] = final_at(b, d, -i32(D_CONV));
  }
  for (var t = first; t < end + D_CONV - 1u; t += 4u) {
    let steps = next_x;
    let grads = next_grad;
    next_x = inputs_at(b, d, i32(t + 4u));
    next_grad = grads_y_at(b, d, t + 4u);
    let g = grads * silu_derivative(own_bias + window_steps(inputs, steps, w, VECS));
    // Steps past the segment belong to the next one's sums.
    let own_g = select(vec4<f32>(0.0), g, vec4<u32>(t, t + 1u, t + 2u, t + 3u) < vec4<u32>(end));
    bias_sum += (own_g.x + own_g.y) + (own_g.z + own_g.w);
    w_sum = window_steps_bwd(w_sum, own_g, inputs, steps, VECS);
    // All of the gradient of the input D_CONV - 1 steps back is known now.
    let back = i32(t) - i32(D_CONV - 1u);
    let values = window_steps(gradients, g, v, VECS);
    store_grad_x(b, d, back, first, end, values.x);
    store_grad_x(b, d, back + 1, first, end, values.y);
    store_grad_x(b, d, back + 2, first, end, values.z);
    store_grad_x(b, d, back + 3, first, end, values.w);
    inputs = window_slide(inputs, steps);
    gradients = window_slide(gradients, g);
  }

  let part = b * count.y + wid.y;
  let start = (part * D_INNER + d) * D_CONV;
  store_weights(start, 0u, w_sum.h);
  if (VECS > 1u) {
    store_weights(start, 4u, w_sum.g);
  }
  if (VECS > 2u) {
    store_weights(start, 8u, w_sum.f);
    store_weights(start, 12u, w_sum.e);
  }
  if (VECS > 4u) {
    store_weights(start, 16u, w_sum.d);
    store_weights(start, 20u, w_sum.c);
    store_weights(start, 24u, w_sum.b);
    store_weights(start, 28u, w_sum.a);
  }
  grad_params[params.grad_bias_start + part * D_INNER + d] = bias_sum;
}
