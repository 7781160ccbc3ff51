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
// grad_dt replaces dt and grad_u replaces grad_y: no workgroup reads what another writes. Tensors of one buffer are one
// binding, for WebGPU promises eight: dt behind u, D behind A_log, and behind grad_y the gradient of the state and the
// partials of A_log and D.
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
// Of one channel alone, the terms of sums need not be shared. Sizes by name: naga panics where a prelude uses memory
// whose size is an expression.
override TERMS: u32 = select(1u, SUMS * SUM_STRIDE, CHANNELS > 1u);
override PARTS: u32 = 3u * SIZE;

struct Params {
  seqlen: u32,
  dt_start: u32,         // where dt (batch, seqlen, D_INNER) begins in u_dt, out grad_dt,
  D_start: u32,          // D (D_INNER) in A_log,
  grad_state_start: u32, // and in grads: grad_state (batch, D_INNER, D_STATE), in and out,
  grad_A_start: u32,     // the partials of A_log (batch, D_INNER, D_STATE),
  grad_D_start: u32,     // and those of D (batch, D_INNER)
}

@group(0) @binding(0) var<storage, read_write> u_dt: array<f32>;          // (batch, seqlen, D_INNER); dt
@group(0) @binding(1) var<storage, read> x_dbl: array<vec4<f32>>;         // (batch, seqlen, DT_RANK + 2 D_STATE)
@group(0) @binding(2) var<storage, read> xz: array<f32>;                  // (batch, seqlen, 2 D_INNER), z second
@group(0) @binding(3) var<storage, read> A_log: array<f32>;               // (D_INNER, D_STATE); D
@group(0) @binding(4) var<storage, read> ssm_state: array<vec4<f32>>;     // (batch, groups + 1, D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read_write> grads: array<f32>;         // grad_y (batch, seqlen, D_INNER), out grad_u
@group(0) @binding(6) var<storage, read_write> grad_xz: array<f32>;       // (batch, seqlen, 2 D_INNER): z's half
@group(0) @binding(7) var<storage, read_write> grad_BC: array<vec4<f32>>; // (blocks, batch, seqlen, [B, C], LANES)
@group(0) @binding(8) var<uniform> params: Params;

const LN_2 = 0.69314718;
// Elements, not vectors: a channel's lanes bring a step each, and a write to a part of a vector may touch all of it.
var<workgroup> dt_tile: array<f32, 4u * CHANNELS>;    // [step][channel]: dt after softplus,
var<workgroup> dtu_tile: array<f32, 4u * CHANNELS>;   // dt u
var<workgroup> g_tile: array<f32, 4u * CHANNELS>;     // and g
// Of one channel alone, B and C need not be shared.
var<workgroup> BC_tile: array<vec4<f32>, select(1u, SHARED, CHANNELS > 1u)>; // [B or C][step][lane]
var<workgroup> terms: array<vec4<f32>, TERMS>; // [sum][channel]
// Lanes' parts of sums over states, 4 steps each: C . h, then A p exp(dt A) h[t-1], then p . B.
var<workgroup> parts: array<vec4<f32>, PARTS>; // [kind][lane][channel]

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
  let k = i + params.dt_start;
  var inputs: Inputs;
  inputs.dt.x = u_dt[k.x];
  inputs.u.x = u_dt[i.x];
  inputs.z.x = xz[j.x];
  inputs.grad_y.x = grads[i.x];
  if (BROUGHT > 1u) {
    inputs.dt.y = u_dt[k.y];
    inputs.u.y = u_dt[i.y];
    inputs.z.y = xz[j.y];
    inputs.grad_y.y = grads[i.y];
  }
  if (BROUGHT > 2u) {
    inputs.dt = vec4<f32>(inputs.dt.xy, u_dt[k.z], u_dt[k.w]);
    inputs.u = vec4<f32>(inputs.u.xy, u_dt[i.z], u_dt[i.w]);
    inputs.z = vec4<f32>(inputs.z.xy, xz[j.z], xz[j.w]);
    inputs.grad_y = vec4<f32>(inputs.grad_y.xy, grads[i.z], grads[i.w]);
  }
  return inputs;
}

fn final_gradient(b: u32, d: u32, n: u32) -> vec4<f32> {
  let i = params.grad_state_start + (b * D_INNER + d) * D_STATE + n;
  let values = vec4<f32>(grads[i], grads[i + 1u], grads[i + 2u], grads[i + 3u]);
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

// What a lane knows of the steps that it brings.
struct Own {
  exist: vec4<bool>,
  raw: vec4<f32>,   // dt before softplus
  dt: vec4<f32>,
  u: vec4<f32>,
  g: vec4<f32>,
  slope: vec4<f32>, // grad_y silu'(z)
}

fn own_steps(inputs: Inputs, exist: vec4<bool>) -> Own {
  let sigmoid_z = 1.0 / (1.0 + exp(-inputs.z));
  let slope = inputs.grad_y * sigmoid_z * (1.0 + inputs.z * (1.0 - sigmoid_z));
  let g = inputs.grad_y * inputs.z * sigmoid_z;
  return Own(exist, inputs.dt, softplus_of(inputs.dt), inputs.u, g, slope);
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

// Puts the steps that a lane brings where all lanes of the channel read them.
fn bring_steps(steps: vec4<u32>, channel: u32, own: Own) {
  bring(steps.x, channel, own.exist.x, own.dt.x, own.u.x, own.g.x);
  if (BROUGHT > 1u) {
    bring(steps.y, channel, own.exist.y, own.dt.y, own.u.y, own.g.y);
  }
  if (BROUGHT > 2u) {
    bring(steps.z, channel, own.exist.z, own.dt.z, own.u.z, own.g.z);
    bring(steps.w, channel, own.exist.w, own.dt.w, own.u.w, own.g.w);
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

// The same of B and C; the lane's first vector was read a group ahead.
fn bring_BC(b: u32, t0: u32, index: u32, first: vec4<f32>) {
  if (CHANNELS > 1u) {
    if (index < SHARED) {
      BC_tile[index] = first;
    }
    for (var i = index + SIZE; i < SHARED; i += SIZE) {
      BC_tile[i] = shared_vector(b, t0, i);
    }
  }
}

// Writes the gradients of the steps that a lane brought, and gives sum + its part of D's.
fn finish_steps(sum: f32, b: u32, t0: u32, d: u32, steps: vec4<u32>, own: Own, own_D: f32) -> f32 {
  var next = sum;
  next += finish(b, t0, d, steps.x, own.exist.x, Step(own.raw.x, own.dt.x, own.u.x, own.g.x, own.slope.x, own_D));
  if (BROUGHT > 1u) {
    next += finish(b, t0, d, steps.y, own.exist.y, Step(own.raw.y, own.dt.y, own.u.y, own.g.y, own.slope.y, own_D));
  }
  if (BROUGHT > 2u) {
    next += finish(b, t0, d, steps.z, own.exist.z, Step(own.raw.z, own.dt.z, own.u.z, own.g.z, own.slope.z, own_D));
    next += finish(b, t0, d, steps.w, own.exist.w, Step(own.raw.w, own.dt.w, own.u.w, own.g.w, own.slope.w, own_D));
  }
  return next;
}

// One of them.
struct Step {
  raw: f32,
  dt: f32,
  u: f32,
  g: f32,
  slope: f32,
  D: f32,
}

fn finish(b: u32, t0: u32, d: u32, step: u32, exists: bool, own: Step) -> f32 {
  if (!exists) {
    return 0.0;
  }
  let channel = d % CHANNELS;
  let pB = sum_of_parts(2u, channel, step);
  let i = (b * params.seqlen + t0 + step) * D_INNER + d;
  u_dt[params.dt_start + i] = (LN_2 * sum_of_parts(1u, channel, step) + own.u * pB) / (1.0 + exp(-own.raw));
  grads[i] = own.D * own.g + own.dt * pB;
  grad_xz[2u * i + D_INNER - d] = own.slope * (sum_of_parts(0u, channel, step) + own.D * own.u);
  return own.g * own.u;
}

// The gradients of A_log and of the initial state.
fn store_params(b: u32, d: u32, n: u32, grad_A: vec4<f32>, grad_initial: vec4<f32>) {
  let exists = exist(d, n);
  let i = (b * D_INNER + d) * D_STATE + n;
  store_param(i, exists.x, grad_A.x, grad_initial.x);
  store_param(i + 1u, exists.y, grad_A.y, grad_initial.y);
  store_param(i + 2u, exists.z, grad_A.z, grad_initial.z);
  store_param(i + 3u, exists.w, grad_A.w, grad_initial.w);
}

fn store_param(i: u32, exists: bool, grad_A: f32, grad_initial: f32) {
  if (exists) {
    grads[params.grad_A_start + i] = grad_A;
    grads[params.grad_state_start + i] = grad_initial;
  }
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
  let own_D = A_log[params.D_start + min(d, D_INNER - 1u)];
  let first_row = (wid.x * BLOCKS * count.y + b) * params.seqlen; // of this workgroup's partials of B and C
  let groups = (params.seqlen + 3u) / 4u;
  let steps = lane + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES);
  var carry = final_gradient(b, d, n); // exp(dt[t+1] A) p[t+1]
  var A_sum = vec4<f32>(0.0);
  var D_sum = 0.0;
  var next = inputs_at(b, 4u * (groups - 1u) + lane, d);
  var next_shared = shared_vector(b, 4u * (groups - 1u), index);
  var next_start = kept_state(b, groups - 1u, d, n);
  for (var after = groups; after > 0u; after--) {
    let t0 = 4u * (after - 1u);
    let start = next_start;
    let count_left = min(4u, params.seqlen - t0);
    let own = own_steps(next, (steps < vec4<u32>(count_left)) & vec4<bool>(d < D_INNER));
    bring_steps(steps, channel, own);
    bring_BC(b, t0, index, next_shared);
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
    add_terms(0u, index, t0, row, mat4x4<f32>(gs.x * h_0, gs.y * h_1, gs.z * h_2, gs.w * h_3));
    add_terms(4u, index, t0, row, mat4x4<f32>(dtus.x * p_0, dtus.y * p_1, dtus.z * p_2, dtus.w * p_3));
    workgroupBarrier();
    store_sums(t0, row, index, count.y * params.seqlen);
    D_sum = finish_steps(D_sum, b, t0, d, steps, own, own_D);
  }
  store_params(b, d, n, LN_2 * A * A_sum, carry);
  store_D(b, d, lane, index, D_sum);
}
