// mamba3_bias_bwd: sums over all steps, of what mamba3_vkq_bwd left, as the gradients of B_bias and C_bias, and added
// to that of mimo_x, which has what the state brings.
// A lane per element of a bias, and then of mimo_x.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;
override MIMO: bool;
override D_INNER: u32 = NHEADS * HEADDIM;
override D_VKQ: u32 = D_INNER + 2u * NHEADS * D_STATE;

@group(0) @binding(0) var<storage, read> sums: array<f32>;              // (RANK, D_VKQ)
@group(0) @binding(1) var<storage, read_write> grad_B_bias: array<f32>; // (NHEADS, RANK, D_STATE)
@group(0) @binding(2) var<storage, read_write> grad_C_bias: array<f32>; // (NHEADS, RANK, D_STATE)
@group(0) @binding(3) var<storage, read_write> grad_mimo_x: array<f32>; // (NHEADS, RANK, HEADDIM), if MIMO

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_bias_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i < NHEADS * RANK * D_STATE) {
    let r = i / D_STATE % RANK;
    let h = i / D_STATE / RANK;
    let at = r * D_VKQ + D_INNER + h * D_STATE + i % D_STATE;
    grad_B_bias[i] = sums[at];
    grad_C_bias[i] = sums[at + NHEADS * D_STATE];
  }
  if (MIMO && i < RANK * D_INNER) {
    let r = i / HEADDIM % RANK;
    let h = i / HEADDIM / RANK;
    grad_mimo_x[i] += sums[r * D_VKQ + h * HEADDIM + i % HEADDIM];
  }
}
