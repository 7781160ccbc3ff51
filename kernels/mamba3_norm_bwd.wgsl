// mamba3_norm_bwd: back through the norm of B or C in mamba3_vkq. With g what mamba3_vkq_bwd left, summed over the
// heads of a group, and b the raw values:
//   grad_b = rstd (weight g - b rstd mean(weight g b rstd))     grad_norm = sum over r and groups of g b rstd
// A workgroup per step goes from rank to rank and group to group; a lane per state.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override RANK: u32;
override D_IN_PROJ: u32;
override START: u32;  // column where B or C begins in a row of zxBCdt
override PLACE: u32;  // and where the gradients of k or q begin in a row of grad_vkq
override EPS: f32;
override D_VKQ: u32 = NHEADS * (HEADDIM + 2u * D_STATE);

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;            // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> weight: array<f32>;            // (D_STATE)
@group(0) @binding(2) var<storage, read> grad_vkq: array<f32>;          // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(3) var<storage, read_write> grad_zxBCdt: array<f32>; // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(4) var<storage, read_write> grad_norm: array<f32>;   // (batch, seqlen, D_STATE)
@group(0) @binding(5) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> sums: array<vec2<f32>, LANES>;
var<workgroup> grads: array<f32, D_STATE>;

@compute @workgroup_size(LANES)
fn mamba3_norm_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.z * params.seqlen + wid.y;
  let heads = NHEADS / NGROUPS;
  for (var i = 0u; i < RANK * NGROUPS; i++) {
    let r = i / NGROUPS;
    let g = i % NGROUPS;
    let first = row * D_IN_PROJ + START + i * D_STATE;
    let grad0 = (row * RANK + r) * D_VKQ + PLACE + g * heads * D_STATE;
    var own = vec2<f32>(0.0); // squares, and weight g b
    for (var n = lane; n < D_STATE; n += LANES) {
      var grad = 0.0;
      for (var h = 0u; h < heads; h++) {
        grad += grad_vkq[grad0 + h * D_STATE + n];
      }
      grads[n] = grad;
      let value = zxBCdt[first + n];
      own += vec2<f32>(value * value, weight[n] * grad * value);
    }
    sums[lane] = own;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) {
        sums[lane] += sums[lane + half];
      }
      workgroupBarrier();
    }
    let rstd = inverseSqrt(sums[0].x / f32(D_STATE) + EPS);
    let mean = sums[0].y * rstd / f32(D_STATE);
    workgroupBarrier();
    for (var n = lane; n < D_STATE; n += LANES) {
      let normed = zxBCdt[first + n] * rstd;
      grad_zxBCdt[first + n] = rstd * (weight[n] * grads[n] - normed * mean);
      let at = row * D_STATE + n;
      grad_norm[at] = select(grad_norm[at], 0.0, i == 0u) + grads[n] * normed;
    }
  }
}
