// _matvec: what comes before and after a step's products, however many rows of x there are.
//   y[b, o] = sum_k weight[o, k] x[b, k] + bias[o]
//   NORM      x is RMSNorm(x; norm_weight) first. The factor rsqrt(mean x^2 + EPS) is common to the whole dot product,
//             so the squares are summed beside it and the factor is applied once, at the end.
//   RESIDUAL  y[b, o] += instead of =.
//   CONV      rows CONV_START + d, d < D_INNER, are the input of the causal conv1d, whose window is conv_state[b, d]:
//             the window moves by one, and y becomes SiLU(conv). Other rows (z, dt) are written as they are.
// Goes after _chains. The kernel declares the overrides and bindings that are used here, and squares4(i, chain): the
// squares that chains `chain` to `chain` + 3 have of the i-th row of x in its workgroup.

// Columns i to i + 3 of a row that need not start at a multiple of four, zero past D_IN.
fn x_at(start: u32, i: u32) -> vec4<f32> {
  var values = vec4<f32>(0.0);
  if (ALIGNED) {
    if (i < D_IN) {
      values = x[(start + i) / 4u];
    }
    return values;
  }
  for (var j = 0u; j < 4u; j++) {
    if (i + j < D_IN) {
      values[j] = x[(start + i + j) / 4u][(start + i + j) % 4u];
    }
  }
  return values;
}

// From the sums of the chains of squares. Written out, as loops wait for each load.
fn norm_factor(i: u32) -> f32 {
  let half = ((sum4(squares4(i, 0u)) + sum4(squares4(i, 4u))) + sum4(squares4(i, 8u))) + sum4(squares4(i, 12u));
  let more = (half + sum4(squares4(i, 16u))) + sum4(squares4(i, 20u));
  let sum = (more + sum4(squares4(i, 24u))) + sum4(squares4(i, 28u));
  return inverseSqrt(fma(sum, 1.0 / f32(D_IN), EPS));
}

// The usual width of conv1d, whose window is loaded beforehand.
const USUAL_CONV = 4u;

// What y[b, o] needs beside its sum: loaded before that is there.
struct Ending {
  bias: f32,
  residual: f32,
  conv_bias: f32,
  window: vec3<f32>, // all but the oldest
  taps: vec4<f32>,
}

fn is_convolved(o: u32) -> bool {
  return CONV && o >= CONV_START && o - CONV_START < D_INNER;
}

fn load_ending(b: u32, o: u32) -> Ending {
  var ending: Ending;
  if (BIAS) {
    ending.bias = bias[o];
  }
  if (RESIDUAL) {
    ending.residual = y[b * params.ld_y + o];
  }
  if (is_convolved(o)) {
    let d = o - CONV_START;
    if (CONV_BIAS) {
      ending.conv_bias = conv_bias[d];
    }
    if (D_CONV == USUAL_CONV) {
      let window = (b * D_INNER + d) * USUAL_CONV;
      let tap = d * USUAL_CONV;
      ending.window = vec3<f32>(conv_state[window + 1u], conv_state[window + 2u], conv_state[window + 3u]);
      ending.taps =
        vec4<f32>(conv_weight[tap], conv_weight[tap + 1u], conv_weight[tap + 2u], conv_weight[tap + 3u]);
    }
  }
  return ending;
}

// Moves the window of channel d by a step, and returns what comes out.
fn conv1d_step(b: u32, d: u32, newest: f32, ending: Ending) -> f32 {
  let window = (b * D_INNER + d) * D_CONV;
  var sum = ending.conv_bias;
  if (D_CONV == USUAL_CONV) {
    conv_state[window] = ending.window.x;
    conv_state[window + 1u] = ending.window.y;
    conv_state[window + 2u] = ending.window.z;
    conv_state[window + 3u] = newest;
    return silu(plus_dot(sum, ending.taps, vec4<f32>(ending.window, newest)));
  }
  for (var k = 0u; k + 1u < D_CONV; k++) {
    let value = conv_state[window + k + 1u];
    conv_state[window + k] = value;
    sum = fma(conv_weight[d * D_CONV + k], value, sum);
  }
  conv_state[window + D_CONV - 1u] = newest;
  return silu(fma(conv_weight[d * D_CONV + D_CONV - 1u], newest, sum));
}

// Writes y[b, o] from the sum of its products; `factor` is norm_factor(), where there is a norm.
fn finish(b: u32, o: u32, sum: f32, factor: f32, ending: Ending) {
  // With one sum and one product there is nothing that a compiler could round otherwise in another kernel.
  let more = ending.bias + ending.residual;
  var value = select(sum + more, fma(sum, factor, more), NORM);
  if (is_convolved(o)) {
    value = conv1d_step(b, o - CONV_START, value, ending);
  }
  y[b * params.ld_y + o] = value;
}
