// selective_scan_step: dt_proj and the Mamba-1 recurrence for a single step (seqlen 1), with skip and gate.
//   dt = softplus(dt_weight dt_low + dt_bias)      A = -exp(A_log)
//   h = exp(dt A) h + dt B u        y = (C . h + D u) silu(z)
// A channel has LANES lanes, which share the dot product of dt and the states between them; two tree sums in workgroup
// memory. A lane serves states lane, lane + LANES, ... and columns of dt_weight likewise.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;
override W_STRIDE: u32;  // elements from row to row of dt_weight
override W_DTYPE: u32;
override LANES: u32;     // a power of two
override CHANNELS: u32;

@group(0) @binding(0) var<storage, read> xz: array<f32>;              // (batch, 2 D_INNER): u, then z
@group(0) @binding(1) var<storage, read> x_dbl: array<f32>;           // (batch, DT_RANK + 2 D_STATE): dt_low, B, C
@group(0) @binding(2) var<storage, read> dt_weight: array<u32>;       // (D_INNER, W_STRIDE), packed
@group(0) @binding(3) var<storage, read> dt_bias: array<f32>;         // (D_INNER)
@group(0) @binding(4) var<storage, read> A_log: array<f32>;           // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;               // (D_INNER)
@group(0) @binding(6) var<storage, read_write> ssm_state: array<f32>; // (batch, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;         // (batch, D_INNER)

var<workgroup> sums: array<f32, LANES * CHANNELS>;

fn weight_pair(word: u32) -> vec2<f32> {
  if (W_DTYPE == DTYPE_F16) {
    return unpack2x16float(word);
  }
  return bitcast<vec2<f32>>(vec2<u32>(word << 16u, word & 0xffff0000u));
}

// Sum of a channel's lanes, in all of them.
fn lane_sum(value: f32, index: u32, lane: u32) -> f32 {
  sums[index] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[index] += sums[index + half];
    }
    workgroupBarrier();
  }
  return sums[index - lane];
}

@compute @workgroup_size(LANES, CHANNELS)
fn selective_scan_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
                       @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.y, D_INNER - 1u);
  let writes = wid.x * CHANNELS + lid.y < D_INNER;
  let x_dbl_row = b * (DT_RANK + 2u * D_STATE);
  var dt_part = 0.0;
  if (W_DTYPE == DTYPE_F32) {
    for (var r = lid.x; r < DT_RANK; r += LANES) {
      dt_part += bitcast<f32>(dt_weight[d * W_STRIDE + r]) * x_dbl[x_dbl_row + r];
    }
  } else {
    for (var r = lid.x * 2u; r < DT_RANK; r += LANES * 2u) {
      let pair = weight_pair(dt_weight[(d * W_STRIDE + r) / 2u]);
      dt_part += pair.x * x_dbl[x_dbl_row + r];
      if (r + 1u < DT_RANK) {
        dt_part += pair.y * x_dbl[x_dbl_row + r + 1u];
      }
    }
  }
  let dt = softplus(lane_sum(dt_part, index, lid.x) + dt_bias[d]);
  let u = xz[b * 2u * D_INNER + d];
  var y_part = 0.0;
  for (var n = lid.x; n < D_STATE; n += LANES) {
    let element = (b * D_INNER + d) * D_STATE + n;
    let A = -exp(A_log[d * D_STATE + n]);
    let h = exp(dt * A) * ssm_state[element] + dt * x_dbl[x_dbl_row + DT_RANK + n] * u;
    if (writes) {
      ssm_state[element] = h;
    }
    y_part += x_dbl[x_dbl_row + DT_RANK + D_STATE + n] * h;
  }
  // The sums of dt are read by all lanes before this overwrites them.
  workgroupBarrier();
  let sum = lane_sum(y_part, index, lid.x);
  if (writes && lid.x == 0u) {
    y[b * D_INNER + d] = (sum + D[d] * u) * silu(xz[b * 2u * D_INNER + D_INNER + d]);
  }
}
