// clip_factor: what adamw_update multiplies all gradients by, from the sums of their squares.
//   norm = sqrt(sum of partials)      factor = min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_
//   A norm that is NaN or infinite is kept for the log, and its factor is 0, by which adamw_update leaves all as it is.
// One workgroup: lanes stride over the partials, then a tree sum, so that the order is fixed.
struct Params {
  parts: u32,
  max_norm: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;    // (parts)
@group(0) @binding(1) var<storage, read_write> clip: array<f32>;  // (2): factor, norm
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;
const EXPONENT = 0x7f800000u; // all ones in infinity and NaN

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn clip_factor(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var part = lane; part < params.parts; part += LANES) {
    sum += partials[part];
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
  }
  if (lane == 0u) {
    let norm = sqrt(sums[0]);
    var factor = 1.0;
    if (norm + 1e-6 > params.max_norm) {
      factor = params.max_norm / (norm + 1e-6);
    }
    // By its bits: compilers may take comparisons with NaN or infinity for granted.
    if ((bitcast<u32>(norm) & EXPONENT) == EXPONENT) {
      factor = 0.0;
    }
    clip[0] = factor;
    clip[1] = norm;
  }
}
