// selective_scan_bwd: gradients of selective_scan_fwd, backwards through time from the states that it kept.
//   g = grad_y silu(z)      p[t] = C[t] g[t] + exp(dt[t+1] A) p[t+1]      p[seqlen] = gradient of the final state
//   grad_C = sum_d g h[t]   grad_B = sum_d p dt u   grad_u = D g + dt (p . B)   grad_D = sum_t g u
//   grad_dt = sigmoid(dt_raw) sum_n p (A exp(dt A) h[t-1] + B u)   grad_A_log = A sum_t p dt exp(dt A) h[t-1]
//   grad_z = grad_y (C . h + D u) silu'(z)
// Lanes as in the forward. Time goes back in groups of 4 steps, written out. A group's states are recomputed from the
// one before it and stay in registers; what is summed over a channel's lanes, or over channels, goes through workgroup
// memory, which is kept small: it decides how many workgroups are at work at once. Lane (channel, l) brings steps l,
// l + LANES, ... of a group, a group ahead of their use, and writes their gradients. Steps past the last have dt, dt u
// and g 0, which leaves h and p as they are.
// grad_dt replaces dt and grad_u replaces grad_y: no workgroup reads what another writes, and two bindings are saved.
// Sums over more than a workgroup are left as partials, so that their order is fixed: of B and C by block of SUMMED
// channels, of A_log and D by batch entry.
override D_INNER: u32;
override D_STATE: u32;
override DT_RANK: u32;     // B and C follow dt_rank columns in x_dbl
override LANES: u32;
override CHANNELS: u32;    // a power of two
override GRAD_FINAL: bool; // whether grad_state holds the gradient of the final state; if not, that is zero
override SIZE: u32 = LANES * CHANNELS;
override BROUGHT: u32 = (3u + LANES) / LANES; // steps of a group that a lane brings at most
override SHARED: u32 = 8u * LANES;            // vectors of B, then C, of a group
override SUMMED: u32 = min(CHANNELS, 8u);     // channels of a sum
override BLOCKS: u32 = CHANNELS / SUMMED;
// Terms of a sum lie side by side, a vec4 a channel; the next sum's begin at another memory bank.
override SUM_STRIDE: u32 = SUMMED + SUMMED / 8u;
override SUMS: u32 = 8u * LANES * BLOCKS;     // of a group: 4 steps of C's, then of B's

struct Params {
  seqlen: u32,
  D_start: u32, // where the partials of D begin in grad_params
}

@group(0) @binding(0) var<storage, read> u: array<f32>;                     // (batch, seqlen, D_INNER)
@group(0) @binding(1) var<storage, read_write> dt: array<f32>;              // (batch, seqlen, D_INNER), out grad_dt
@group(0) @binding(2) var<storage, read> x_dbl: array<vec4<f32>>;           // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(3) var<storage, read> xz: array<f32>;                    // (batch, seqlen, 2 D_INNER), z second
@group(0) @binding(4) var<storage, read> A_log: array<f32>;                 // (D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> D: array<f32>;                     // (D_INNER)
@group(0) @binding(6) var<storage, read> ssm_state: array<vec4<f32>>;       // (batch, groups + 1, D_INNER, D_STATE)
@group(0) @binding(7) var<storage, read_write> grad_y: array<f32>;          // (batch, seqlen, D_INNER), out grad_u
@group(0) @binding(8) var<storage, read_write> grad_xz: array<f32>;         // (batch, seqlen, 2 D_INNER): z's half
@group(0) @binding(9) var<storage, read_write> grad_BC: array<vec4<f32>>;   // (blocks, batch, seqlen, [B, C], LANES)
@group(0) @binding(10) var<storage, read_write> grad_params: array<f32>;    // (batch, D_INNER, D_STATE); of D
@group(0) @binding(11) var<storage, read_write> grad_state: array<f32>;     // (batch, D_INNER, D_STATE), in and out
@group(0) @binding(12) var<uniform> params: Params;

const LOG2_E = 1.442695;
const LN_2 = 0.69314718;
// Elements, not vectors: a channel's lanes bring a step each, and a write to a part of a vector may touch all of it.
var<workgroup> dt_tile: array<f32, 4u * CHANNELS>;    // [step][channel]: dt after softplus,
var<workgroup> dtu_tile: array<f32, 4u * CHANNELS>;   // dt u
var<workgroup> g_tile: array<f32, 4u * CHANNELS>;     // and g
// Of one channel alone, B and C and the terms of sums need not be shared.
var<workgroup> BC_tile: array<vec4<f32>, select(1u, SHARED, CHANNELS > 1u)>; // [B or C][step][lane]
var<workgroup> terms: array<vec4<f32>, select(1u, SUMS * SUM_STRIDE, CHANNELS > 1u)>; // [sum][channel]
// Lanes' parts of sums over states, 4 steps each: C . h, then A p exp(dt A) h[t-1], then p . B.
var<workgroup> parts: array<vec4<f32>, 3u * SIZE>;    // [kind][lane][channel]

// The steps of one channel that a lane brings: t, t + LANES, ...
struct Inputs {
  dt: vec4<f32>,
  u: vec4<f32>,
  z: vec4<f32>,
  grad_y: vec4<f32>,
}

// Any values past the last step and channel; nothing for steps that no lane brings.
fn inputs_at(b: u32, t: u32, d: u32) -> Inputs {
  let steps = min(t + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES), vec4<u32>(params.seqlen - 1u));
  let i = (b * params.seqlen + steps) * D_INNER + min(d, D_INNER - 1u);
  let j = i + (b * params.seqlen + steps) * D_INNER + D_INNER;
  var inputs: Inputs;
  inputs.dt.x = dt[i.x];
  inputs.u.x = u[i.x];
  inputs.z.x = xz[j.x];
  inputs.grad_y.x = grad_y[i.x];
  if (BROUGHT > 1u) {
    inputs.dt.y = dt[i.y];
    inputs.u.y = u[i.y];
    inputs.z.y = xz[j.y];
    inputs.grad_y.y = grad_y[i.y];
  }
  if (BROUGHT > 2u) {
    inputs.dt = vec4<f32>(inputs.dt.xy, dt[i.z], dt[i.w]);
    inputs.u = vec4<f32>(inputs.u.xy, u[i.z], u[i.w]);
    inputs.z = vec4<f32>(inputs.z.xy, xz[j.z], xz[j.w]);
    inputs.grad_y = vec4<f32>(inputs.grad_y.xy, grad_y[i.z], grad_y[i.w]);
  }
  return inputs;
}

// Which of the states n to n + 3 there are, of channels that there are.
fn exist(d: u32, n: u32) -> vec4<bool> {
  return (vec4<u32>(n) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(D_STATE)) & vec4<bool>(d < D_INNER);
}

// A / ln 2, for powers of 2; finite, for a step that is not there has dt 0.
fn A_2(d: u32, n: u32) -> vec4<f32> {
  let i = d * D_STATE + n;
  let values = -LOG2_E * exp(vec4<f32>(A_log[i], A_log[i + 1u], A_log[i + 2u], A_log[i + 3u]));
  return select(vec4<f32>(0.0), max(vec4<f32>(-3.4e38), values), exist(d, n));
}

fn final_gradient(b: u32, d: u32, n: u32) -> vec4<f32> {
  let i = (b * D_INNER + d) * D_STATE + n;
  let values = vec4<f32>(grad_state[i], grad_state[i + 1u], grad_state[i + 2u], grad_state[i + 3u]);
  return select(vec4<f32>(0.0), values, exist(d, n) & vec4<bool>(GRAD_FINAL));
}

fn state_element(i: u32) -> f32 {
  return ssm_state[i / 4u][i % 4u];
}

// The state before a group of 4 steps.
fn kept_state(b: u32, group: u32, d: u32, n: u32) -> vec4<f32> {
  let i = ((b * ((params.seqlen + 3u) / 4u + 1u) + group) * D_INNER + d) * D_STATE + n;
  if (D_STATE % 4u == 0u) {
    return select(vec4<f32>(0.0), ssm_state[i / 4u], exist(d, n));
  }
  let values = vec4<f32>(state_element(i), state_element(i + 1u), state_element(i + 2u), state_element(i + 3u));
  return select(vec4<f32>(0.0), values, exist(d, n));
}

fn x_dbl_element(i: u32) -> f32 {
  return x_dbl[i / 4u][i % 4u];
}

// Four of B or C, whose columns begin at `first`, at step t; zeros past the last step.
fn B_or_C(b: u32, t: u32, first: u32, n: u32) -> vec4<f32> {
  let i = (b * params.seqlen + min(t, params.seqlen - 1u)) * (DT_RANK + 2u * D_STATE) + first + n;
  let exists = exist(0u, n) & vec4<bool>(t < params.seqlen);
  if (DT_RANK % 4u == 0u && D_STATE % 4u == 0u) {
    return select(vec4<f32>(0.0), x_dbl[i / 4u], exists);
  }
  let values = vec4<f32>(x_dbl_element(i), x_dbl_element(i + 1u), x_dbl_element(i + 2u), x_dbl_element(i + 3u));
  return select(vec4<f32>(0.0), values, exists);
}

// Vector i of a group that begins at step t0: [B or C][step][lane].
fn shared_vector(b: u32, t0: u32, i: u32) -> vec4<f32> {
  return B_or_C(b, t0 + i / LANES % 4u, DT_RANK + i / (4u * LANES) * D_STATE, i % LANES * 4u);
}

fn shared_at(b: u32, t0: u32, i: u32) -> vec4<f32> {
  if (CHANNELS > 1u) {
    return BC_tile[i];
  }
  return shared_vector(b, t0, i);
}

// Sum over the lanes of one kind of parts, of one step.
fn sum_of_parts(kind: u32, channel: u32, step: u32) -> f32 {
  let i = kind * SIZE + channel;
  if (LANES == 4u) {
    return (parts[i][step] + parts[i + CHANNELS][step]) +
      (parts[i + 2u * CHANNELS][step] + parts[i + 3u * CHANNELS][step]);
  }
  var sum = parts[i][step];
  for (var lane = 1u; lane < LANES; lane++) {
    sum += parts[i + lane * CHANNELS][step];
  }
  return sum;
}

fn sum_of_terms(sum: u32) -> vec4<f32> {
  let i = sum * SUM_STRIDE;
  if (SUMMED == 8u) {
    return ((terms[i] + terms[i + 1u]) + (terms[i + 2u] + terms[i + 3u])) +
      ((terms[i + 4u] + terms[i + 5u]) + (terms[i + 6u] + terms[i + 7u]));
  }
  var total = terms[i];
  for (var k = 1u; k < SUMMED; k++) {
    total += terms[i + k];
  }
  return total;
}

// Four sums of a block's channels at step t: of C for kinds 0 to 3, of B for kinds 4 to 7.
fn store_BC(row: u32, kind: u32, lane: u32, values: vec4<f32>) {
  grad_BC[row * 2u * LANES + select(0u, LANES, kind < 4u) + lane] = values;
}

// One channel's term of a kind's sum at step t of row `row`; the sum itself where there is no other channel.
fn add_term(kind: u32, index: u32, t: u32, row: u32, value: vec4<f32>) {
  if (CHANNELS > 1u) {
    terms[kind * (SIZE / SUMMED) * SUM_STRIDE + index + index / 8u * (SUM_STRIDE - SUMMED)] = value;
  } else if (t < params.seqlen) {
    store_BC(row, kind, index, value);
  }
}

fn bring(step: u32, channel: u32, exists: bool, own_dt: f32, own_u: f32, own_g: f32) {
  if (step < 4u) {
    let i = step * CHANNELS + channel;
    dt_tile[i] = select(0.0, own_dt, exists);
    dtu_tile[i] = select(0.0, own_dt * own_u, exists);
    g_tile[i] = select(0.0, own_g, exists);
  }
}

fn store_params(i: u32, exists: bool, grad_A: f32, grad_initial: f32) {
  if (exists) {
    grad_params[i] = grad_A;
    grad_state[i] = grad_initial;
  }
}

// What a lane knows of a step that it brought.
struct Own {
  raw: f32, // dt before softplus
  dt: f32,
  u: f32,
  g: f32,
  slope: f32, // grad_y silu'(z)
  D: f32,
}

// Writes a step's gradients, and gives its part of D's.
fn finish(b: u32, t0: u32, d: u32, step: u32, exists: bool, own: Own) -> f32 {
  if (!exists) {
    return 0.0;
  }
  let channel = d % CHANNELS;
  let pB = sum_of_parts(2u, channel, step);
  let i = (b * params.seqlen + t0 + step) * D_INNER + d;
  dt[i] = (LN_2 * sum_of_parts(1u, channel, step) + own.u * pB) / (1.0 + exp(-own.raw));
  grad_y[i] = own.D * own.g + own.dt * pB;
  grad_xz[2u * i + D_INNER - d] = own.slope * (sum_of_parts(0u, channel, step) + own.D * own.u);
  return own.g * own.u;
}

fn softplus_of(raw: vec4<f32>) -> vec4<f32> {
  var soft = vec4<f32>(softplus(raw.x), 0.0, 0.0, 0.0);
  if (BROUGHT > 1u) {
    soft.y = softplus(raw.y);
  }
  if (BROUGHT > 2u) {
    soft = vec4<f32>(soft.xy, softplus(raw.z), softplus(raw.w));
  }
  return soft;
}

@compute @workgroup_size(CHANNELS, LANES)
fn selective_scan_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                      @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let channel = lid.x;
  let d = wid.x * CHANNELS + channel;
  let lane = lid.y;
  let n = 4u * lane; // of this lane's states
  let A = A_2(d, n);
  let own_D = D[min(d, D_INNER - 1u)];
  let first_row = (wid.x * BLOCKS * count.y + b) * params.seqlen; // of this workgroup's partials of B and C
  let groups = (params.seqlen + 3u) / 4u;
  let own_steps = lane + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES);
  var carry = final_gradient(b, d, n); // exp(dt[t+1] A) p[t+1]
  var A_sum = vec4<f32>(0.0);
  var D_sum = 0.0;
  var next = inputs_at(b, 4u * (groups - 1u) + lane, d);
  var next_shared = shared_vector(b, 4u * (groups - 1u), index);
  var next_start = kept_state(b, groups - 1u, d, n);
  for (var after = groups; after > 0u; after--) {
    let t0 = 4u * (after - 1u);
    let start = next_start;
    let own = next;
    let own_exist = (own_steps < vec4<u32>(min(4u, params.seqlen - t0))) & vec4<bool>(d < D_INNER);
    let sigmoid_z = 1.0 / (1.0 + exp(-own.z));
    let slope = own.grad_y * sigmoid_z * (1.0 + own.z * (1.0 - sigmoid_z));
    let own_g = own.grad_y * own.z * sigmoid_z;
    let own_dt = softplus_of(own.dt);
    bring(lane, channel, own_exist.x, own_dt.x, own.u.x, own_g.x);
    if (BROUGHT > 1u) {
      bring(own_steps.y, channel, own_exist.y, own_dt.y, own.u.y, own_g.y);
    }
    if (BROUGHT > 2u) {
      bring(own_steps.z, channel, own_exist.z, own_dt.z, own.u.z, own_g.z);
      bring(own_steps.w, channel, own_exist.w, own_dt.w, own.u.w, own_g.w);
    }
    if (CHANNELS > 1u) {
      if (index < SHARED) {
        BC_tile[index] = next_shared;
      }
      for (var i = index + SIZE; i < SHARED; i += SIZE) {
        BC_tile[i] = shared_vector(b, t0, i);
      }
    }
    workgroupBarrier();
    let t_next = max(t0, 4u) - 4u;
    next = inputs_at(b, t_next + lane, d);
    next_shared = shared_vector(b, t_next, index);
    next_start = kept_state(b, t_next / 4u, d, n);

    let of_step = channel + vec4<u32>(0u, CHANNELS, 2u * CHANNELS, 3u * CHANNELS);
    let dts = vec4<f32>(dt_tile[of_step.x], dt_tile[of_step.y], dt_tile[of_step.z], dt_tile[of_step.w]);
    let dtus = vec4<f32>(dtu_tile[of_step.x], dtu_tile[of_step.y], dtu_tile[of_step.z], dtu_tile[of_step.w]);
    let gs = vec4<f32>(g_tile[of_step.x], g_tile[of_step.y], g_tile[of_step.z], g_tile[of_step.w]);
    let A_bar_0 = exp2(dts.x * A);
    let A_bar_1 = exp2(dts.y * A);
    let A_bar_2 = exp2(dts.z * A);
    let A_bar_3 = exp2(dts.w * A);
    let B_0 = shared_at(b, t0, lane);
    let B_1 = shared_at(b, t0, LANES + lane);
    let B_2 = shared_at(b, t0, 2u * LANES + lane);
    let B_3 = shared_at(b, t0, 3u * LANES + lane);
    let C_0 = shared_at(b, t0, 4u * LANES + lane);
    let C_1 = shared_at(b, t0, 5u * LANES + lane);
    let C_2 = shared_at(b, t0, 6u * LANES + lane);
    let C_3 = shared_at(b, t0, 7u * LANES + lane);

    let h_0 = A_bar_0 * start + dtus.x * B_0;
    let h_1 = A_bar_1 * h_0 + dtus.y * B_1;
    let h_2 = A_bar_2 * h_1 + dtus.z * B_2;
    let h_3 = A_bar_3 * h_2 + dtus.w * B_3;
    let p_3 = carry + gs.w * C_3;
    let carry_3 = A_bar_3 * p_3;
    let p_2 = carry_3 + gs.z * C_2;
    let carry_2 = A_bar_2 * p_2;
    let p_1 = carry_2 + gs.y * C_1;
    let carry_1 = A_bar_1 * p_1;
    let p_0 = carry_1 + gs.x * C_0;
    carry = A_bar_0 * p_0;
    let through_3 = carry_3 * h_2;
    let through_2 = carry_2 * h_1;
    let through_1 = carry_1 * h_0;
    let through_0 = carry * start;
    A_sum += (dts.x * through_0 + dts.y * through_1) + (dts.z * through_2 + dts.w * through_3);

    parts[index] = vec4<f32>(dot(C_0, h_0), dot(C_1, h_1), dot(C_2, h_2), dot(C_3, h_3));
    parts[SIZE + index] = vec4<f32>(dot(A, through_0), dot(A, through_1), dot(A, through_2), dot(A, through_3));
    parts[2u * SIZE + index] = vec4<f32>(dot(B_0, p_0), dot(B_1, p_1), dot(B_2, p_2), dot(B_3, p_3));
    let row = first_row + t0;
    add_term(0u, index, t0, row, gs.x * h_0);
    add_term(1u, index, t0 + 1u, row + 1u, gs.y * h_1);
    add_term(2u, index, t0 + 2u, row + 2u, gs.z * h_2);
    add_term(3u, index, t0 + 3u, row + 3u, gs.w * h_3);
    add_term(4u, index, t0, row, dtus.x * p_0);
    add_term(5u, index, t0 + 1u, row + 1u, dtus.y * p_1);
    add_term(6u, index, t0 + 2u, row + 2u, dtus.z * p_2);
    add_term(7u, index, t0 + 3u, row + 3u, dtus.w * p_3);
    workgroupBarrier();

    if (CHANNELS > 1u) {
      for (var i = index; i < SUMS; i += SIZE) {
        // Sums are of kinds, and of lanes and blocks of channels in each.
        let kind = i / (LANES * BLOCKS);
        if (t0 + kind % 4u < params.seqlen) {
          let block_row = row + kind % 4u + i % BLOCKS * count.y * params.seqlen;
          store_BC(block_row, kind, i / BLOCKS % LANES, sum_of_terms(i));
        }
      }
    }
    D_sum += finish(b, t0, d, own_steps.x, own_exist.x, Own(own.dt.x, own_dt.x, own.u.x, own_g.x, slope.x, own_D));
    if (BROUGHT > 1u) {
      D_sum += finish(b, t0, d, own_steps.y, own_exist.y, Own(own.dt.y, own_dt.y, own.u.y, own_g.y, slope.y, own_D));
    }
    if (BROUGHT > 2u) {
      D_sum += finish(b, t0, d, own_steps.z, own_exist.z, Own(own.dt.z, own_dt.z, own.u.z, own_g.z, slope.z, own_D));
      D_sum += finish(b, t0, d, own_steps.w, own_exist.w, Own(own.dt.w, own_dt.w, own.u.w, own_g.w, slope.w, own_D));
    }
  }

  let grad_A = LN_2 * A * A_sum;
  let exists = exist(d, n);
  let i = (b * D_INNER + d) * D_STATE + n;
  store_params(i, exists.x, grad_A.x, carry.x);
  store_params(i + 1u, exists.y, grad_A.y, carry.y);
  store_params(i + 2u, exists.z, grad_A.z, carry.z);
  store_params(i + 3u, exists.w, grad_A.w, carry.w);
  workgroupBarrier();
  parts[index].x = D_sum;
  workgroupBarrier();
  if (lane == 0u && d < D_INNER) {
    var sum = 0.0;
    for (var k = 0u; k < LANES; k++) {
      sum += parts[k * CHANNELS + lid.x].x;
    }
    grad_params[params.D_start + b * D_INNER + d] = sum;
  }
}
