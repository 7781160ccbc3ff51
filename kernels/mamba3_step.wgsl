// mamba3_step: the recurrence of Mamba-3 without MIMO for a single step, with skip and, if GATED, gate. With the rates,
// k and q of mamba3_turn:
//   S[p] = alpha S[p] + beta v[p] k_prev + gamma x[p] k     y[p] = S[p] . q + D x[p]     GATED: y[p] *= silu(z[p])
// A workgroup per head, whose lanes stand in rows of ROW, one row a channel: a lane has 4 states of 4 channels each on
// their way at a time, and leaves parts of the channels' sums in workgroup memory, where a lane a channel adds them up.
// At last k and x take the places of k_prev and v.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override D_IN_PROJ: u32;
override GATED: bool;
override ROW: u32; // divides LANES
override D_INNER: u32 = NHEADS * HEADDIM;
override STATES: u32 = (D_STATE + 4u * ROW - 1u) / (4u * ROW) * 4u * ROW; // with zeros for those that are not there

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;          // (batch, D_IN_PROJ): z and x first
@group(0) @binding(1) var<storage, read> kq: array<f32>;              // (batch, NHEADS, 4 + 2 D_STATE)
@group(0) @binding(2) var<storage, read> D: array<f32>;               // (NHEADS)
@group(0) @binding(3) var<storage, read_write> ssm_state: array<f32>; // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<storage, read_write> k: array<f32>;         // (batch, NHEADS, D_STATE)
@group(0) @binding(5) var<storage, read_write> v: array<f32>;         // (batch, NHEADS, HEADDIM)
@group(0) @binding(6) var<storage, read_write> y: array<f32>;         // (batch, D_INNER)

const LANES = 256u;
var<workgroup> sums: array<f32, HEADDIM * ROW>;
var<workgroup> own_k: array<f32, STATES>;
var<workgroup> prev_k: array<f32, STATES>;
var<workgroup> own_q: array<f32, STATES>;

// Four of what lies at n, n + ROW, ...: of k, k_prev and q.
fn k4(n: u32) -> vec4<f32> {
  return vec4<f32>(own_k[n], own_k[n + ROW], own_k[n + 2u * ROW], own_k[n + 3u * ROW]);
}

fn prev4(n: u32) -> vec4<f32> {
  return vec4<f32>(prev_k[n], prev_k[n + ROW], prev_k[n + 2u * ROW], prev_k[n + 3u * ROW]);
}

fn q4(n: u32) -> vec4<f32> {
  return vec4<f32>(own_q[n], own_q[n + ROW], own_q[n + 2u * ROW], own_q[n + 3u * ROW]);
}

// x of channel p, or v.
fn x_at(row: u32, p: u32) -> f32 {
  return zxBCdt[row + min(p, HEADDIM - 1u)];
}

fn v_at(head: u32, p: u32) -> f32 {
  return v[head + min(p, HEADDIM - 1u)];
}

@compute @workgroup_size(LANES)
fn mamba3_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let row = b * D_IN_PROJ;
  let head = b * NHEADS + h;
  let own = head * (4u + 2u * D_STATE);
  for (var n = lane; n < STATES; n += LANES) {
    let is_there = n < D_STATE;
    let at = min(n, D_STATE - 1u);
    own_k[n] = select(0.0, kq[own + 4u + at], is_there);
    own_q[n] = select(0.0, kq[own + 4u + D_STATE + at], is_there);
    prev_k[n] = select(0.0, k[head * D_STATE + at], is_there);
  }
  workgroupBarrier();
  let alpha = kq[own];
  let gamma = kq[own + 1u];
  let beta = kq[own + 2u];
  let rows = LANES / ROW;
  let states = head * HEADDIM * D_STATE;
  let x_row = row + D_INNER + h * HEADDIM;
  for (var p = lane / ROW; p < HEADDIM; p += 4u * rows) {
    let p1 = p + rows;
    let p2 = p1 + rows;
    let p3 = p2 + rows;
    let now = gamma * vec4<f32>(x_at(x_row, p), x_at(x_row, p1), x_at(x_row, p2), x_at(x_row, p3));
    let before = beta * vec4<f32>(v_at(head * HEADDIM, p), v_at(head * HEADDIM, p1), v_at(head * HEADDIM, p2),
                                  v_at(head * HEADDIM, p3));
    var sum = vec4<f32>(0.0);
    for (var n = lane % ROW; n < D_STATE; n += 4u * ROW) {
      let s0 = state4(states, p, n);
      let s1 = state4(states, p1, n);
      let s2 = state4(states, p2, n);
      let s3 = state4(states, p3, n);
      let next0 = alpha * s0 + (before.x * prev4(n) + now.x * k4(n));
      let next1 = alpha * s1 + (before.y * prev4(n) + now.y * k4(n));
      let next2 = alpha * s2 + (before.z * prev4(n) + now.z * k4(n));
      let next3 = alpha * s3 + (before.w * prev4(n) + now.w * k4(n));
      store4(states, p, n, next0);
      store4(states, p1, n, next1);
      store4(states, p2, n, next2);
      store4(states, p3, n, next3);
      sum += vec4<f32>(dot(next0, q4(n)), dot(next1, q4(n)), dot(next2, q4(n)), dot(next3, q4(n)));
    }
    for (var i = 0u; i < 4u; i++) {
      if (p + i * rows < HEADDIM) {
        sums[(p + i * rows) * ROW + lane % ROW] = sum[i];
      }
    }
  }
  workgroupBarrier();
  for (var p = lane; p < HEADDIM; p += LANES) {
    var sum = 0.0;
    for (var i = 0u; i < ROW; i++) {
      // Lanes side by side read from banks side by side.
      sum += sums[p * ROW + (i + p) % ROW];
    }
    let x = zxBCdt[x_row + p];
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
