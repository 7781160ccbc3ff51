// _matvec: what the kernels of a step's products share, in which nothing depends on how many rows of x there are.
//   y[b, o] = sum_k weight[o, k] x[b, k] + bias[o]
//   NORM      x is RMSNorm(x; norm_weight) first. The factor rsqrt(mean x^2 + EPS) is common to the whole dot product,
//             so the squares are summed beside it and the factor is applied once, at the end.
//   RESIDUAL  y[b, o] += instead of =.
//   CONV      rows CONV_START + d, d < D_INNER, are the input of the causal conv1d, whose window is conv_state[b, d]:
//             the window moves by one, and y becomes SiLU(conv). Other rows (z, dt) are written as they are.
// The order of a sum: parts of PART columns, each in order; groups of GROUP_PARTS parts, added up in order; and the
// groups in order. Every product is added by fma(), which leaves a compiler nothing to round otherwise in one kernel
// than in another: a row has the same bits whichever of them computes it.
// The kernel declares the overrides and bindings that are used here.
const PART = 16u;
const GROUP_PARTS = 8u;

fn plus_squares(square: f32, v: vec4<f32>) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, square))));
}

fn norm_factor(square: f32) -> f32 {
  return inverseSqrt(fma(square, 1.0 / f32(D_IN), EPS));
}

fn conv1d_step(b: u32, d: u32, newest: f32) -> f32 {
  let window = (b * D_INNER + d) * D_CONV;
  var sum = newest * conv_weight[d * D_CONV + D_CONV - 1u];
  for (var k = 0u; k + 1u < D_CONV; k++) {
    let value = conv_state[window + k + 1u];
    conv_state[window + k] = value;
    sum = fma(value, conv_weight[d * D_CONV + k], sum);
  }
  conv_state[window + D_CONV - 1u] = newest;
  if (CONV_BIAS) {
    sum += conv_bias[d];
  }
  return silu(sum);
}

// Writes y[b, o] from the sum of its products; `factor` is norm_factor() of the row, where there is a norm.
fn finish(b: u32, o: u32, sum: f32, factor: f32) {
  let at = b * params.ld_y + o;
  var addend = 0.0;
  if (BIAS) {
    addend = bias[o];
  }
  if (RESIDUAL && !CONV) {
    addend += y[at];
  }
  var value = select(sum + addend, fma(sum, factor, addend), NORM);
  if (CONV && o >= CONV_START && o - CONV_START < D_INNER) {
    value = conv1d_step(b, o - CONV_START, value);
  }
  if (RESIDUAL && CONV) {
    value += y[at];
  }
  y[at] = value;
}
