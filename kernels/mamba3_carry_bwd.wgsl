// mamba3_carry_bwd: the gradient of delta[0], by what mamba3_carry adds to the state:
//   grad_delta[0] = sum over p, n of grad_state[p, n] v[p] sum over r of mimo_x[r, p] k[r, n]
// with k and v of the step before the first. A workgroup per head.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;
override MIMO: bool;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> grad_state: array<f32>;       // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(1) var<storage, read> k: array<f32>;                // (batch, RANK, NHEADS, D_STATE)
@group(0) @binding(2) var<storage, read> v: array<f32>;                // (batch, NHEADS, HEADDIM)
@group(0) @binding(3) var<storage, read> mimo_x: array<f32>;           // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(4) var<storage, read_write> grad_rates: array<f32>; // (batch, NHEADS, seqlen, 4): the last of step 0
@group(0) @binding(5) var<uniform> params: Params;

const LANES = 256u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn mamba3_carry_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let head = b * NHEADS + h;
  var total = 0.0;
  for (var i = lane; i < HEADDIM * D_STATE; i += LANES) {
    let p = i / D_STATE;
    let n = i % D_STATE;
    var sum = 0.0;
    for (var r = 0u; r < RANK; r++) {
      var factor = k[((b * RANK + r) * NHEADS + h) * D_STATE + n];
      if (MIMO) {
        factor *= mimo_x[(h * RANK + r) * HEADDIM + p];
      }
      sum += factor;
    }
    total += grad_state[head * HEADDIM * D_STATE + i] * v[head * HEADDIM + p] * sum;
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    grad_rates[head * params.seqlen * 4u + 3u] = sums[0];
  }
}
