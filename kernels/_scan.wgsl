// _scan: what both directions of the Mamba-1 scan read, four states of a channel at a time.
// The kernel declares x_dbl, A_log, D_INNER, D_STATE and DT_RANK.

const LOG2_E = 1.442695;

// Which of the states n to n + 3 there are, of channels that there are.
fn exist(d: u32, n: u32) -> vec4<bool> {
  return (vec4<u32>(n) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(D_STATE)) & vec4<bool>(d < D_INNER);
}

// A / ln 2, for powers of 2; finite, for a step that is not there has dt 0.
fn A_2(d: u32, n: u32) -> vec4<f32> {
  let i = d * D_STATE + n;
  let values = -LOG2_E * exp(vec4<f32>(A_log[i], A_log[i + 1u], A_log[i + 2u], A_log[i + 3u]));
  return select(vec4<f32>(0.0), max(vec4<f32>(-3.4e38), values), exist(d, n));
}

fn x_dbl_element(i: u32) -> f32 {
  return x_dbl[i / 4u][i % 4u];
}

// Four of B or C, whose columns begin at `first`, at step t; zeros past the last step.
fn B_or_C(b: u32, t: u32, first: u32, n: u32) -> vec4<f32> {
  let i = (b * params.seqlen + min(t, params.seqlen - 1u)) * (DT_RANK + 2u * D_STATE) + first + n;
  let exists = exist(0u, n) & vec4<bool>(t < params.seqlen);
  if (DT_RANK % 4u == 0u && D_STATE % 4u == 0u) {
    return select(vec4<f32>(0.0), x_dbl[i / 4u], exists);
  }
  let values = vec4<f32>(x_dbl_element(i), x_dbl_element(i + 1u), x_dbl_element(i + 2u), x_dbl_element(i + 3u));
  return select(vec4<f32>(0.0), values, exists);
}
