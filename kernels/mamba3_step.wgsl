// mamba3_step: the recurrence of Mamba-3 without MIMO for a single step, with skip and, if GATED, gate. With the rates
// of mamba3_rates, alpha = exp(dt A), and k and q of mamba3_turn:
//   S[p] = alpha (S[p] + delta v[p] k_prev) + gamma x[p] k     y[p] = S[p] . q + D x[p]     GATED: y[p] *= silu(z[p])
// A workgroup per head, whose lanes stand in rows of ROW, one row a channel: each channel leaves parts of its sum
// in workgroup memory, and a lane a channel adds them up. At last k and x take the places of k_prev and v.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override D_IN_PROJ: u32;
override DT_START: u32;  // column of dd_dt in a row of zxBCdt; dd_A and trap follow
override HEAVY_TAIL: bool;
override A_FLOOR: f32;
override GATED: bool;
override ROW: u32;       // divides LANES
override D_INNER: u32 = NHEADS * HEADDIM;

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;          // (batch, D_IN_PROJ): z and x first
@group(0) @binding(1) var<storage, read> dt_bias: array<f32>;         // (NHEADS)
@group(0) @binding(2) var<storage, read> kq: array<f32>;              // (batch, NHEADS, [k, q], D_STATE)
@group(0) @binding(3) var<storage, read> D: array<f32>;               // (NHEADS)
@group(0) @binding(4) var<storage, read_write> ssm_state: array<f32>; // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(5) var<storage, read_write> k: array<f32>;         // (batch, NHEADS, D_STATE)
@group(0) @binding(6) var<storage, read_write> v: array<f32>;         // (batch, NHEADS, HEADDIM)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;         // (batch, D_INNER)

const LANES = 256u;
var<workgroup> sums: array<f32, HEADDIM * ROW>;
var<workgroup> own_k: array<f32, D_STATE>;
var<workgroup> prev_k: array<f32, D_STATE>;
var<workgroup> own_q: array<f32, D_STATE>;

@compute @workgroup_size(LANES)
fn mamba3_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let row = b * D_IN_PROJ;
  let head = b * NHEADS + h;
  for (var n = lane; n < D_STATE; n += LANES) {
    own_k[n] = kq[head * 2u * D_STATE + n];
    own_q[n] = kq[head * 2u * D_STATE + D_STATE + n];
    prev_k[n] = k[head * D_STATE + n];
  }
  workgroupBarrier();
  let at = row + DT_START + h;
  let dt = softplus(zxBCdt[at] + dt_bias[h]);
  let dd_A = zxBCdt[at + NHEADS];
  let trap = zxBCdt[at + 2u * NHEADS];
  let heavy = select(1.0 / (1.0 - dd_A), 1.0 + dd_A, dd_A >= 0.0);
  let alpha = exp(dt * min(-select(softplus(dd_A), heavy, HEAVY_TAIL), -A_FLOOR));
  let gamma = dt / (1.0 + exp(-trap));
  let beta = alpha * dt / (1.0 + exp(trap));
  for (var p = lane / ROW; p < HEADDIM; p += LANES / ROW) {
    let own = gamma * zxBCdt[row + D_INNER + h * HEADDIM + p];
    let before = beta * v[head * HEADDIM + p];
    let state = (head * HEADDIM + p) * D_STATE;
    var sum = 0.0;
    for (var n = lane % ROW; n < D_STATE; n += ROW) {
      let s = alpha * ssm_state[state + n] + (before * prev_k[n] + own * own_k[n]);
      ssm_state[state + n] = s;
      sum += s * own_q[n];
    }
    sums[p * ROW + lane % ROW] = sum;
  }
  workgroupBarrier();
  for (var p = lane; p < HEADDIM; p += LANES) {
    var sum = 0.0;
    for (var i = 0u; i < ROW; i++) {
      // Lanes side by side read from banks side by side.
      sum += sums[p * ROW + (i + p) % ROW];
    }
    let x = zxBCdt[row + D_INNER + h * HEADDIM + p];
    var value = sum + D[h] * x;
    if (GATED) {
      value *= silu(zxBCdt[row + h * HEADDIM + p]);
    }
    y[b * D_INNER + h * HEADDIM + p] = value;
    v[head * HEADDIM + p] = x;
  }
  for (var n = lane; n < D_STATE; n += LANES) {
    k[head * D_STATE + n] = own_k[n];
  }
}
