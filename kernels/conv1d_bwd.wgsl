// conv1d_bwd: gradients of conv1d_fwd, its SiLU included.
//   s[t] = sum_k weight[k] x[t - (D_CONV - 1) + k] + bias      g[t] = grad_y[t] silu'(s[t]), 0 from seqlen on
//   grad_x[t] = sum_k weight[k] g[t + D_CONV - 1 - k]          grad_weight[k] = sum_t g[t] x[t - (D_CONV - 1) + k]
// x before t = 0 is conv_state, the window before the forward, and grad_x there is grad_conv_state. The last D_CONV
// inputs are the final window and get its gradient, too. One lane per channel and segment of steps, in tiles of TILE
// steps. A tile's inputs and g, with the D_CONV - 1 steps after it, are in workgroup memory, a column a lane: no lane
// reads another's, so there is no barrier. grad_weight and grad_bias are left as partials by batch entry and segment.
override D_INNER: u32;
override D_CONV: u32;
override BIAS: bool;
override TILE: u32;
override GRAD_FINAL: bool; // whether there is a gradient of the final window; if not, it is zero

struct Params {
  seqlen: u32,
  ld_x: u32,
  ld_grad_x: u32,
  segment: u32,    // steps of a segment, a multiple of TILE
  bias_start: u32, // where the partials of bias begin in grad_params
}

@group(0) @binding(0) var<storage, read> x: array<f32>;                     // (batch, seqlen, D_INNER) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<f32>;                // (D_INNER, D_CONV)
@group(0) @binding(2) var<storage, read> bias: array<f32>;                  // (D_INNER)
@group(0) @binding(3) var<storage, read> conv_state: array<f32>;            // (batch, D_INNER, D_CONV)
@group(0) @binding(4) var<storage, read> grad_y: array<f32>;                // (batch, seqlen, D_INNER)
@group(0) @binding(5) var<storage, read> grad_final: array<f32>;            // (batch, D_INNER, D_CONV)
@group(0) @binding(6) var<storage, read_write> grad_x: array<f32>;          // (batch, seqlen, D_INNER), ld_grad_x
@group(0) @binding(7) var<storage, read_write> grad_conv_state: array<f32>; // (batch, D_INNER, D_CONV)
@group(0) @binding(8) var<storage, read_write> grad_params: array<f32>;     // (parts, D_INNER, D_CONV); bias
@group(0) @binding(9) var<uniform> params: Params;

var<workgroup> x_tile: array<f32, (TILE + 2u * D_CONV) * 64u>; // row r: step t0 - (D_CONV - 1) + r
var<workgroup> g_tile: array<f32, (TILE + D_CONV) * 64u>;      // row r: step t0 + r
var<workgroup> weights: array<f32, D_CONV * 64u>;
var<workgroup> weight_sums: array<f32, D_CONV * 64u>;

// Input at step t; t counts back from 0 into the window before. Nothing reads what is there from seqlen on.
fn input_at(b: u32, d: u32, t: i32) -> f32 {
  if (t >= i32(params.seqlen)) {
    return 0.0;
  }
  if (t >= 0) {
    return x[(b * params.seqlen + u32(t)) * params.ld_x + d];
  }
  return conv_state[(b * D_INNER + d) * D_CONV + u32(i32(D_CONV) + t)];
}

// What the final window's gradient adds to that of the input at step t.
fn final_at(b: u32, d: u32, t: i32) -> f32 {
  let slot = t - i32(params.seqlen) + i32(D_CONV);
  if (GRAD_FINAL && slot >= 0) {
    return grad_final[(b * D_INNER + d) * D_CONV + u32(slot)];
  }
  return 0.0;
}

fn silu_derivative(v: f32) -> f32 {
  let s = 1.0 / (1.0 + exp(-v));
  return s * (1.0 + v * (1.0 - s));
}

@compute @workgroup_size(64)
fn conv1d_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * 64u + lane;
  let b = wid.z;
  if (d >= D_INNER) {
    return;
  }
  for (var k = 0u; k < D_CONV; k++) {
    weights[k * 64u + lane] = weight[d * D_CONV + k];
    weight_sums[k * 64u + lane] = 0.0;
  }
  var own_bias = 0.0;
  if (BIAS) {
    own_bias = bias[d];
  }
  var bias_sum = 0.0;

  let end = min((wid.y + 1u) * params.segment, params.seqlen);
  for (var t0 = wid.y * params.segment; t0 < end; t0 += TILE) {
    for (var r = 0u; r < TILE + 2u * (D_CONV - 1u); r++) {
      x_tile[r * 64u + lane] = input_at(b, d, i32(t0 + r) - i32(D_CONV - 1u));
    }
    for (var r = 0u; r < TILE + D_CONV - 1u; r++) {
      var g = 0.0;
      if (t0 + r < params.seqlen) {
        var s = own_bias;
        for (var k = 0u; k < D_CONV; k++) {
          s += weights[k * 64u + lane] * x_tile[(r + k) * 64u + lane];
        }
        g = grad_y[(b * params.seqlen + t0 + r) * D_INNER + d] * silu_derivative(s);
      }
      g_tile[r * 64u + lane] = g;
    }
    let steps = min(TILE, params.seqlen - t0);
    for (var r = 0u; r < steps; r++) {
      var sum = final_at(b, d, i32(t0 + r));
      for (var k = 0u; k < D_CONV; k++) {
        sum += weights[k * 64u + lane] * g_tile[(r + D_CONV - 1u - k) * 64u + lane];
      }
      grad_x[(b * params.seqlen + t0 + r) * params.ld_grad_x + d] = sum;
      bias_sum += g_tile[r * 64u + lane];
    }
    for (var k = 0u; k < D_CONV; k++) {
      var sum = 0.0;
      for (var r = 0u; r < steps; r++) {
        sum += g_tile[r * 64u + lane] * x_tile[(r + k) * 64u + lane];
      }
      weight_sums[k * 64u + lane] += sum;
    }
    if (t0 == 0u) {
      // Slot m of the window is the input at step m - D_CONV; through tap k it reached step m - 1 - k.
      for (var m = 0u; m < D_CONV; m++) {
        var sum = final_at(b, d, i32(m) - i32(D_CONV));
        for (var k = 0u; k < m; k++) {
          sum += weights[k * 64u + lane] * g_tile[(m - 1u - k) * 64u + lane];
        }
        grad_conv_state[(b * D_INNER + d) * D_CONV + m] = sum;
      }
    }
  }

  let part = b * count.y + wid.y;
  for (var k = 0u; k < D_CONV; k++) {
    grad_params[(part * D_INNER + d) * D_CONV + k] = weight_sums[k * 64u + lane];
  }
  grad_params[params.bias_start + part * D_INNER + d] = bias_sum;
}
