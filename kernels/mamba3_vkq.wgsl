// mamba3_vkq: what the recurrence of Mamba-3 reads of every step, for each rank r and head h of group g:
//   v = x mimo_x[h, r]     k = rotate(rms_norm(B[r, g]) B_norm + B_bias[h, r], theta[h])     q likewise of C
//   rotate: (a, b) -> (a cos - b sin, a sin + b cos) for ANGLES pairs of lanes: neighbors, or, if MIMO, those that are
//   D_STATE / 2 apart. The other lanes pass.
// A workgroup per step and rank: first the norms of the groups, one after the other, then a lane per pair or channel.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32; // even
override NGROUPS: u32;
override RANK: u32;
override ANGLES: u32;
override MIMO: bool;
override D_IN_PROJ: u32;
override EPS: f32;
override D_INNER: u32 = NHEADS * HEADDIM;
override D_VKQ: u32 = D_INNER + 2u * NHEADS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;    // (batch, seqlen, D_IN_PROJ): [z, x, B, C, ...]
@group(0) @binding(1) var<storage, read> B_norm: array<f32>;    // (D_STATE)
@group(0) @binding(2) var<storage, read> C_norm: array<f32>;    // (D_STATE)
@group(0) @binding(3) var<storage, read> B_bias: array<f32>;    // (NHEADS, RANK, D_STATE)
@group(0) @binding(4) var<storage, read> C_bias: array<f32>;    // (NHEADS, RANK, D_STATE)
@group(0) @binding(5) var<storage, read> mimo_x: array<f32>;    // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(6) var<storage, read> thetas: array<f32>;    // (batch, seqlen, NHEADS, ANGLES)
@group(0) @binding(7) var<storage, read_write> vkq: array<f32>; // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(8) var<uniform> params: Params;

const LANES = 128u;
var<workgroup> squares: array<vec2<f32>, LANES>;
var<workgroup> rstds: array<vec2<f32>, NGROUPS>; // of B and of C

@compute @workgroup_size(LANES)
fn mamba3_vkq(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = wid.x;
  let row = wid.z * params.seqlen + wid.y;
  let B_start = row * D_IN_PROJ + 2u * D_INNER + r * NGROUPS * D_STATE;
  let C_start = B_start + RANK * NGROUPS * D_STATE;
  for (var g = 0u; g < NGROUPS; g++) {
    var own = vec2<f32>(0.0);
    for (var n = lane; n < D_STATE; n += LANES) {
      let both = vec2<f32>(zxBCdt[B_start + g * D_STATE + n], zxBCdt[C_start + g * D_STATE + n]);
      own += both * both;
    }
    squares[lane] = own;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) {
        squares[lane] += squares[lane + half];
      }
      workgroupBarrier();
    }
    if (lane == 0u) {
      rstds[g] = inverseSqrt(squares[0] / f32(D_STATE) + EPS);
    }
    workgroupBarrier();
  }

  let first = (row * RANK + r) * D_VKQ;
  for (var d = lane; d < D_INNER; d += LANES) {
    var v = zxBCdt[row * D_IN_PROJ + D_INNER + d];
    if (MIMO) {
      v *= mimo_x[(d / HEADDIM * RANK + r) * HEADDIM + d % HEADDIM];
    }
    vkq[first + d] = v;
  }
  for (var i = lane; i < NHEADS * D_STATE / 2u; i += LANES) {
    let h = i / (D_STATE / 2u);
    let pair = i % (D_STATE / 2u);
    let n = select(vec2<u32>(2u * pair, 2u * pair + 1u), vec2<u32>(pair, pair + D_STATE / 2u), MIMO);
    let g = h / (NHEADS / NGROUPS);
    let B = B_start + g * D_STATE + n;
    let C = C_start + g * D_STATE + n;
    let bias = (h * RANK + r) * D_STATE + n;
    let k = vec2<f32>(zxBCdt[B.x] * rstds[g].x * B_norm[n.x] + B_bias[bias.x],
                      zxBCdt[B.y] * rstds[g].x * B_norm[n.y] + B_bias[bias.y]);
    let q = vec2<f32>(zxBCdt[C.x] * rstds[g].y * C_norm[n.x] + C_bias[bias.x],
                      zxBCdt[C.y] * rstds[g].y * C_norm[n.y] + C_bias[bias.y]);
    var turn = vec2<f32>(1.0, 0.0);
    if (pair < ANGLES) {
      turn = cos_sin(thetas[(row * NHEADS + h) * ANGLES + pair]);
    }
    let at = first + D_INNER + h * D_STATE + n;
    vkq[at.x] = k.x * turn.x - k.y * turn.y;
    vkq[at.y] = k.x * turn.y + k.y * turn.x;
    vkq[at.x + NHEADS * D_STATE] = q.x * turn.x - q.y * turn.y;
    vkq[at.y + NHEADS * D_STATE] = q.x * turn.y + q.y * turn.x;
  }
}
