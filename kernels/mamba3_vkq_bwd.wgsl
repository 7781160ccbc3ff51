// mamba3_vkq_bwd: back through mamba3_vkq to where it adds biases, in place: gradients of k and q are turned back, and
//   grad_thetas[h, j] = sum over r of what turning by a little more would change, of k and of q
//   grad_x = sum over r of grad_v mimo_x; in place of grad_v comes x grad_v, whose sum over steps is mimo_x's gradient
// A lane per pair of lanes of a head, and then per channel.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;   // even
override RANK: u32;
override ANGLES: u32;
override MIMO: bool;
override D_IN_PROJ: u32;
override D_INNER: u32 = NHEADS * HEADDIM;
override D_VKQ: u32 = D_INNER + 2u * NHEADS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;            // (batch, seqlen, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> mimo_x: array<f32>;            // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(2) var<storage, read> thetas: array<f32>;            // (batch, seqlen, NHEADS, ANGLES)
@group(0) @binding(3) var<storage, read> vkq: array<f32>;               // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(4) var<storage, read_write> grad_vkq: array<f32>;    // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(5) var<storage, read_write> grad_thetas: array<f32>; // (batch, seqlen, NHEADS, ANGLES)
@group(0) @binding(6) var<storage, read_write> grad_zxBCdt: array<f32>; // (batch, seqlen, D_IN_PROJ): x's columns
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 128u;

@compute @workgroup_size(LANES)
fn mamba3_vkq_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.z * params.seqlen + wid.y;
  for (var d = lane; d < D_INNER; d += LANES) {
    let x = zxBCdt[row * D_IN_PROJ + D_INNER + d];
    var sum = 0.0;
    for (var r = 0u; r < RANK; r++) {
      let at = (row * RANK + r) * D_VKQ + d;
      let grad = grad_vkq[at];
      if (MIMO) {
        sum += grad * mimo_x[(d / HEADDIM * RANK + r) * HEADDIM + d % HEADDIM];
      } else {
        sum += grad;
      }
      grad_vkq[at] = x * grad;
    }
    grad_zxBCdt[row * D_IN_PROJ + D_INNER + d] = sum;
  }
  for (var i = lane; i < NHEADS * D_STATE / 2u; i += LANES) {
    let h = i / (D_STATE / 2u);
    let pair = i % (D_STATE / 2u);
    if (pair >= ANGLES) {
      continue;
    }
    let n = select(vec2<u32>(2u * pair, 2u * pair + 1u), vec2<u32>(pair, pair + D_STATE / 2u), MIMO);
    let angle = (row * NHEADS + h) * ANGLES + pair;
    let turn = cos_sin(thetas[angle]);
    var sum = 0.0;
    for (var r = 0u; r < 2u * RANK; r++) {
      // Of k, and NHEADS D_STATE behind it, of q.
      let at = (row * RANK + r / 2u) * D_VKQ + D_INNER + (r % 2u * NHEADS + h) * D_STATE + n;
      let grad = vec2<f32>(grad_vkq[at.x], grad_vkq[at.y]);
      sum += grad.y * vkq[at.x] - grad.x * vkq[at.y];
      grad_vkq[at.x] = grad.x * turn.x + grad.y * turn.y;
      grad_vkq[at.y] = grad.y * turn.x - grad.x * turn.y;
    }
    grad_thetas[angle] = sum;
  }
}
