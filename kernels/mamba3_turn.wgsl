// mamba3_turn: what a single step of Mamba-3 reads beside its state: k and q, with angles that move on, and the rates:
//   alpha = exp(dt A)     gamma = lambda dt     beta = (1 - lambda) dt alpha
// See mamba3_vkq, mamba3_angles and mamba3_rates. A workgroup per head: first the angles, then rank after rank the
// norms and a lane per pair.
override NHEADS: u32;
override D_STATE: u32;   // even
override NGROUPS: u32;
override RANK: u32;
override ANGLES: u32;
override MIMO: bool;
override D_IN_PROJ: u32;
override B_START: u32;   // columns where B and dd_dt begin in a row of zxBCdt
override DT_START: u32;
override EPS: f32;
override HEAVY_TAIL: bool;
override A_FLOOR: f32;

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;      // (batch, D_IN_PROJ)
@group(0) @binding(1) var<storage, read> dt_bias: array<f32>;     // (NHEADS)
@group(0) @binding(2) var<storage, read> B_norm: array<f32>;      // (D_STATE)
@group(0) @binding(3) var<storage, read> C_norm: array<f32>;      // (D_STATE)
@group(0) @binding(4) var<storage, read> B_bias: array<f32>;      // (NHEADS, RANK, D_STATE)
@group(0) @binding(5) var<storage, read> C_bias: array<f32>;      // (NHEADS, RANK, D_STATE)
@group(0) @binding(6) var<storage, read_write> theta: array<f32>; // (batch, NHEADS, ANGLES)
@group(0) @binding(7) var<storage, read_write> kq: array<f32>;    // (batch, NHEADS, [4 rates, RANK of k, q])

const LANES = 64u;
var<workgroup> squares: array<vec2<f32>, LANES>;
var<workgroup> turns: array<vec2<f32>, ANGLES + 1u>; // cosine and sine of each angle

@compute @workgroup_size(LANES)
fn mamba3_turn(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let row = b * D_IN_PROJ;
  let dt = softplus(zxBCdt[row + DT_START + h] + dt_bias[h]);
  for (var j = lane; j < ANGLES; j += LANES) {
    let i = (b * NHEADS + h) * ANGLES + j;
    let turn = tanh_of(zxBCdt[row + D_IN_PROJ - ANGLES + j]);
    let angle = reduced(theta[i] + 3.14159265 * turn * dt);
    theta[i] = angle;
    turns[j] = cos_sin(angle);
  }
  let own = (b * NHEADS + h) * (4u + 2u * RANK * D_STATE);
  if (lane == 0u) {
    let dd_A = zxBCdt[row + DT_START + NHEADS + h];
    let trap = zxBCdt[row + DT_START + 2u * NHEADS + h];
    let heavy = select(1.0 / (1.0 - dd_A), 1.0 + dd_A, dd_A >= 0.0);
    let alpha = exp(dt * min(-select(softplus(dd_A), heavy, HEAVY_TAIL), -A_FLOOR));
    kq[own] = alpha;
    kq[own + 1u] = dt / (1.0 + exp(-trap));
    kq[own + 2u] = alpha * dt / (1.0 + exp(trap));
  }
  let group = h / (NHEADS / NGROUPS) * D_STATE;
  for (var r = 0u; r < RANK; r++) {
    let B_start = row + B_START + r * NGROUPS * D_STATE + group;
    let C_start = B_start + RANK * NGROUPS * D_STATE;
    var sum = vec2<f32>(0.0);
    for (var n = lane; n < D_STATE; n += LANES) {
      let both = vec2<f32>(zxBCdt[B_start + n], zxBCdt[C_start + n]);
      sum += both * both;
    }
    squares[lane] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) {
        squares[lane] += squares[lane + half];
      }
      workgroupBarrier();
    }
    let rstd = inverseSqrt(squares[0] / f32(D_STATE) + EPS);
    workgroupBarrier();
    for (var pair = lane; pair < D_STATE / 2u; pair += LANES) {
      let n = select(vec2<u32>(2u * pair, 2u * pair + 1u), vec2<u32>(pair, pair + D_STATE / 2u), MIMO);
      let bias = (h * RANK + r) * D_STATE + n;
      let k = vec2<f32>(zxBCdt[B_start + n.x] * rstd.x * B_norm[n.x] + B_bias[bias.x],
                        zxBCdt[B_start + n.y] * rstd.x * B_norm[n.y] + B_bias[bias.y]);
      let q = vec2<f32>(zxBCdt[C_start + n.x] * rstd.y * C_norm[n.x] + C_bias[bias.x],
                        zxBCdt[C_start + n.y] * rstd.y * C_norm[n.y] + C_bias[bias.y]);
      var turn = vec2<f32>(1.0, 0.0);
      if (pair < ANGLES) {
        turn = turns[pair];
      }
      let at = own + 4u + 2u * r * D_STATE + n;
      kq[at.x] = k.x * turn.x - k.y * turn.y;
      kq[at.y] = k.x * turn.y + k.y * turn.x;
      kq[at.x + D_STATE] = q.x * turn.x - q.y * turn.y;
      kq[at.y + D_STATE] = q.x * turn.y + q.y * turn.x;
    }
  }
}
