// mamba3_mimo_step: the recurrence of Mamba-3 with MIMO for a single step, before its gate. With the rates, k and q of
// mamba3_turn, and sums over ranks:
//   S[p] = alpha S[p] + sum of beta v[p] mimo_x[r, p] k_prev[r] + gamma x[p] mimo_x[r, p] k[r]
//   y[r, p] = S[p] . q[r] + D x[p] mimo_x[r, p]
// A workgroup per head, whose lanes stand in rows of ROW, one row a channel: a lane has 4 states of 2 channels each on
// their way at a time. Ranks go in fours, as vec4: the first four see the states as they move on, the others read them
// once more. Parts of the sums are added up in workgroup memory. At last k and x take the places of k_prev and v.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;
override D_IN_PROJ: u32;
override ROW: u32; // divides LANES
override D_INNER: u32 = NHEADS * HEADDIM;
override FOURS: u32 = (RANK + 3u) / 4u;
override STATES: u32 = (D_STATE + 4u * ROW - 1u) / (4u * ROW) * 4u * ROW; // with zeros for those that are not there

@group(0) @binding(0) var<storage, read> zxBCdt: array<f32>;          // (batch, D_IN_PROJ): z and x first
@group(0) @binding(1) var<storage, read> kq: array<f32>;              // (batch, NHEADS, [4 rates, RANK of k, q])
@group(0) @binding(2) var<storage, read> D: array<f32>;               // (NHEADS)
@group(0) @binding(3) var<storage, read> mimo_x: array<f32>;          // (NHEADS, RANK, HEADDIM)
@group(0) @binding(4) var<storage, read_write> ssm_state: array<f32>; // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(5) var<storage, read_write> k: array<f32>;         // (batch, RANK, NHEADS, D_STATE)
@group(0) @binding(6) var<storage, read_write> v: array<f32>;         // (batch, NHEADS, HEADDIM)
@group(0) @binding(7) var<storage, read_write> y: array<f32>;         // (batch, RANK, D_INNER)

const LANES = 256u;
var<workgroup> sums: array<vec4<f32>, HEADDIM * ROW>;
var<workgroup> own_x: array<vec4<f32>, FOURS * HEADDIM>;  // gamma x mimo_x of four ranks
var<workgroup> prev_x: array<vec4<f32>, FOURS * HEADDIM>; // beta v mimo_x
var<workgroup> own_k: array<vec4<f32>, FOURS * STATES>;
var<workgroup> prev_k: array<vec4<f32>, FOURS * STATES>;
var<workgroup> own_q: array<vec4<f32>, FOURS * STATES>;

// What comes to states n, n + ROW, n + 2 ROW and n + 3 ROW of channel p.
fn brought(p: u32, n: u32) -> vec4<f32> {
  var sum = vec4<f32>(0.0);
  for (var four = 0u; four < FOURS; four++) {
    let own = own_x[four * HEADDIM + min(p, HEADDIM - 1u)];
    let prev = prev_x[four * HEADDIM + min(p, HEADDIM - 1u)];
    let at = four * STATES + n;
    sum += prev * mat4x4<f32>(prev_k[at], prev_k[at + ROW], prev_k[at + 2u * ROW], prev_k[at + 3u * ROW]);
    sum += own * mat4x4<f32>(own_k[at], own_k[at + ROW], own_k[at + 2u * ROW], own_k[at + 3u * ROW]);
  }
  return sum;
}

// Those states' part of the sums of four ranks.
fn seen(four: u32, n: u32, s: vec4<f32>) -> vec4<f32> {
  let at = four * STATES + n;
  return mat4x4<f32>(own_q[at], own_q[at + ROW], own_q[at + 2u * ROW], own_q[at + 3u * ROW]) * s;
}

@compute @workgroup_size(LANES)
fn mamba3_mimo_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let b = wid.y;
  let head = b * NHEADS + h;
  let own = head * (4u + 2u * RANK * D_STATE);
  let alpha = kq[own];
  let gamma = kq[own + 1u];
  let beta = kq[own + 2u];
  let x_row = b * D_IN_PROJ + D_INNER + h * HEADDIM;
  for (var i = lane; i < FOURS * STATES; i += LANES) {
    let n = i % STATES;
    var next = vec4<f32>(0.0);
    var prev = vec4<f32>(0.0);
    var query = vec4<f32>(0.0);
    for (var j = 0u; j < 4u; j++) {
      let r = i / STATES * 4u + j;
      if (r < RANK && n < D_STATE) {
        next[j] = kq[own + 4u + 2u * r * D_STATE + n];
        query[j] = kq[own + 4u + (2u * r + 1u) * D_STATE + n];
        prev[j] = k[((b * RANK + r) * NHEADS + h) * D_STATE + n];
      }
    }
    own_k[i] = next;
    prev_k[i] = prev;
    own_q[i] = query;
  }
  for (var i = lane; i < FOURS * HEADDIM; i += LANES) {
    let p = i % HEADDIM;
    var factor = vec4<f32>(0.0);
    for (var j = 0u; j < 4u; j++) {
      let r = i / HEADDIM * 4u + j;
      if (r < RANK) {
        factor[j] = mimo_x[(h * RANK + r) * HEADDIM + p];
      }
    }
    own_x[i] = gamma * zxBCdt[x_row + p] * factor;
    prev_x[i] = beta * v[head * HEADDIM + p] * factor;
  }
  workgroupBarrier();
  let rows = LANES / ROW;
  let states = head * HEADDIM * D_STATE;
  for (var four = 0u; four < FOURS; four++) {
    for (var p = lane / ROW; p < HEADDIM; p += 2u * rows) {
      var sum0 = vec4<f32>(0.0);
      var sum1 = vec4<f32>(0.0);
      for (var n = lane % ROW; n < D_STATE; n += 4u * ROW) {
        var s0 = state4(states, p, n);
        var s1 = state4(states, p + rows, n);
        if (four == 0u) {
          s0 = alpha * s0 + brought(p, n);
          s1 = alpha * s1 + brought(p + rows, n);
          store4(states, p, n, s0);
          store4(states, p + rows, n, s1);
        }
        sum0 += seen(four, n, s0);
        sum1 += seen(four, n, s1);
      }
      sums[p * ROW + lane % ROW] = sum0;
      if (p + rows < HEADDIM) {
        sums[(p + rows) * ROW + lane % ROW] = sum1;
      }
    }
    workgroupBarrier();
    for (var i = lane; i < min(4u, RANK - four * 4u) * HEADDIM; i += LANES) {
      let p = i % HEADDIM;
      let r = four * 4u + i / HEADDIM;
      var sum = 0.0;
      for (var j = 0u; j < ROW; j++) {
        // Lanes side by side read from banks side by side.
        sum += sums[p * ROW + (j + p) % ROW][i / HEADDIM];
      }
      let x = zxBCdt[x_row + p] * mimo_x[(h * RANK + r) * HEADDIM + p];
      y[(b * RANK + r) * D_INNER + h * HEADDIM + p] = sum + D[h] * x;
    }
    workgroupBarrier();
  }
  for (var p = lane; p < HEADDIM; p += LANES) {
    v[head * HEADDIM + p] = zxBCdt[x_row + p];
  }
  for (var i = lane; i < RANK * D_STATE; i += LANES) {
    let r = i / D_STATE;
    let n = i % D_STATE;
    k[((b * RANK + r) * NHEADS + h) * D_STATE + n] = own_k[r / 4u * STATES + n][r % 4u];
  }
}
