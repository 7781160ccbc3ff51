// ssd_dt_bwd: the gradients of dt before bias, limits and softplus, and partials of those of dt_bias and A_log.
//   grad_dtA[t] = what passes step t: from the steps before t to those from t on (ssd_cb_bwd), from the steps before t
//                 to the state after the chunk (B's sums), from the state before the chunk to the steps from t on (C's
//                 sums), and from state to state: exp(sum[last]) sums_state
//   grad_dt[t] = A grad_dtA[t] + sum over p of x q (ssd_x_bwd)
//   grad_dt_raw = grad_dt sigmoid(dt_raw + dt_bias), 0 beyond the limits
//   partials: sum over t of grad_dt_raw, for dt_bias; of A dt[t] grad_dtA[t], for A_log
// A workgroup serves a chunk of one batch entry and HEADS heads: a lane per element, but for the sums one per head.
override NHEADS: u32;
override DT_START: u32;  // column of dt in a row of zxbcdt and of its gradient
override CHUNK: u32;
override HEADS: u32;
override P_TILES: u32;   // of which ssd_x_bwd left sums
override N_TILES: u32;   // of which ssd_bc_bwd left sums
override DT_MIN: f32;
override DT_MAX: f32;

struct Params {
  seqlen: u32,
  plane: u32,   // batch NHEADS seqlen
  A_start: u32, // where the partials of A_log begin
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;              // see sum_of_planes(), and state at the end
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;      // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> zxbcdt: array<f32>;            // (batch, seqlen, DT_START + NHEADS)
@group(0) @binding(3) var<storage, read> A_log: array<f32>;             // (NHEADS)
@group(0) @binding(4) var<storage, read> dt_bias: array<f32>;           // (NHEADS)
@group(0) @binding(5) var<storage, read_write> grad_zxbcdt: array<f32>; // (batch, seqlen, DT_START + NHEADS)
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;    // (batch, chunks, NHEADS): dt_bias; A_log
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 64u;
// dt, x q, what passes the step so far, B's sum; then grad_dt, and at last grad_dt_raw, in the first place.
var<workgroup> tile: array<vec4<f32>, CHUNK * HEADS>;
var<workgroup> C_sums: array<f32, CHUNK * HEADS>;

// Sum of an element over consecutive planes (batch, NHEADS, seqlen): there are P_TILES of x, one of CB, N_TILES of B
// and as many of C. After them come the states' sums (batch, chunks, NHEADS).
fn sum_of_planes(first: u32, count: u32, element: u32) -> f32 {
  var sum = 0.0;
  for (var i = first; i < first + count; i++) {
    sum += sums[i * params.plane + element];
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn ssd_dt_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let h0 = wid.x * HEADS;
  let part = wid.z * count.y + wid.y;
  let t0 = wid.y * CHUNK;
  let steps = min(CHUNK, params.seqlen - t0);
  let heads = min(HEADS, NHEADS - h0);
  for (var i = lane; i < steps * heads; i += LANES) {
    let t = i % steps;
    let h = i / steps;
    let element = (wid.z * NHEADS + h0 + h) * params.seqlen + t0 + t;
    tile[h * CHUNK + t] = vec4<f32>(
      decays[element].x,
      sum_of_planes(0u, P_TILES, element),
      sum_of_planes(P_TILES, 1u, element),
      sum_of_planes(P_TILES + 1u, N_TILES, element));
    C_sums[h * CHUNK + t] = sum_of_planes(P_TILES + 1u + N_TILES, N_TILES, element);
  }
  workgroupBarrier();
  if (lane < heads) {
    let h = h0 + lane;
    let last = decays[(wid.z * NHEADS + h) * params.seqlen + t0 + steps - 1u].w;
    var to_end = last * sums[(P_TILES + 1u + 2u * N_TILES) * params.plane + part * NHEADS + h];
    for (var t = 0u; t < steps; t++) {
      let values = tile[lane * CHUNK + t];
      tile[lane * CHUNK + t].z = values.z + to_end;
      to_end += values.w;
    }
    let A = -exp(A_log[h]);
    var from_start = 0.0;
    var grad_A = 0.0;
    for (var after = steps; after > 0u; after--) {
      let i = lane * CHUNK + after - 1u;
      let values = tile[i];
      from_start += C_sums[i];
      let grad_dtA = values.z + from_start;
      grad_A += values.x * grad_dtA;
      tile[i].x = A * grad_dtA + values.y;
    }
    partials[params.A_start + part * NHEADS + h] = A * grad_A;
  }
  workgroupBarrier();
  for (var i = lane; i < steps * heads; i += LANES) {
    let t = i / heads;
    let h = i % heads;
    let column = (wid.z * params.seqlen + t0 + t) * (DT_START + NHEADS) + DT_START + h0 + h;
    let dt_raw = zxbcdt[column] + dt_bias[h0 + h];
    let dt = softplus(dt_raw);
    var grad = tile[h * CHUNK + t].x / (1.0 + exp(-dt_raw));
    if (dt < DT_MIN || dt > DT_MAX) {
      grad = 0.0;
    }
    grad_zxbcdt[column] = grad;
    tile[h * CHUNK + t].x = grad;
  }
  workgroupBarrier();
  if (lane < heads) {
    var sum = 0.0;
    for (var t = 0u; t < steps; t++) {
      sum += tile[lane * CHUNK + t].x;
    }
    partials[part * NHEADS + h0 + lane] = sum;
  }
}
