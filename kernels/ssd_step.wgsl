// ssd_step: the Mamba-2 recurrence (Dao & Gu 2024) for a single step (seqlen 1), with skip and, if GATED, gate.
//   dt = clamp(softplus(dt_raw + dt_bias), DT_MIN, DT_MAX)      A = -exp(A_log)
//   s[p] = exp(dt A) s[p] + dt x[p] B        y[p] = C . s[p] + D x[p]        GATED: y[p] *= silu(z[p])
// Each channel p of each head has LANES lanes, side by side over its states, 4 at a time each, and a tree sum in
// workgroup memory. Goes after _chains: step_mamba2 has the same order of sums.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override DT_MIN: f32;
override DT_MAX: f32;
override D_HAS_HDIM: bool;
override GATED: bool;
override LANES: u32;     // a power of two
override CHANNELS: u32;
override ALIGNED: bool;  // D_STATE is a multiple of 4, and B and C of each row and group begin at one
override D_INNER: u32 = NHEADS * HEADDIM;
override D_IN_PROJ: u32 = 2u * D_INNER + 2u * NGROUPS * D_STATE + NHEADS;

struct Params {
  ld_xBC: u32,
  xBC_offset: u32,
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>;                // (batch, [x, B, C]) at stride ld_xBC
@group(0) @binding(1) var<storage, read> zxbcdt: array<f32>;                   // (batch, D_IN_PROJ): z first, dt last
@group(0) @binding(2) var<storage, read> A_log: array<f32>;                    // (NHEADS)
@group(0) @binding(3) var<storage, read> D: array<f32>;                        // (NHEADS) or (NHEADS, HEADDIM)
@group(0) @binding(4) var<storage, read> dt_bias: array<f32>;                  // (NHEADS)
@group(0) @binding(5) var<storage, read_write> ssm_state: array<vec4<f32>>;    // (batch, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(6) var<storage, read_write> ssm_state_elements: array<f32>; // ssm_state, if not ALIGNED
@group(0) @binding(7) var<storage, read_write> y: array<f32>;                  // (batch, D_INNER)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> sums: array<f32, LANES * CHANNELS>;

fn xBC1(i: u32) -> f32 {
  return xBC[i / 4u][i % 4u];
}

// Four elements from i on, of which the first `count` are wanted, the others zero.
fn xBC4(i: u32, count: u32) -> vec4<f32> {
  if (ALIGNED) {
    return xBC[i / 4u];
  }
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < min(count, 4u); j++) {
    values[j] = xBC1(i + j);
  }
  return values;
}

// By elements if not ALIGNED: lanes may share a vec4 then, and a write to one component may write all.
fn state4(i: u32, count: u32) -> vec4<f32> {
  if (ALIGNED) {
    return ssm_state[i / 4u];
  }
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < min(count, 4u); j++) {
    values[j] = ssm_state_elements[i + j];
  }
  return values;
}

fn write4(i: u32, count: u32, values: vec4<f32>) {
  if (ALIGNED) {
    ssm_state[i / 4u] = values;
    return;
  }
  for (var j = 0u; j < min(count, 4u); j++) {
    ssm_state_elements[i + j] = values[j];
  }
}

// Four states of a channel, and what they meet.
struct States {
  s: vec4<f32>,
  B: vec4<f32>,
  C: vec4<f32>,
}

// From state n on; zeros past the last one.
fn load_states(element: u32, B_start: u32, n: u32) -> States {
  var states: States;
  if (n < D_STATE) {
    let count = D_STATE - n;
    let C_start = B_start + NGROUPS * D_STATE;
    states = States(state4(element + n, count), xBC4(B_start + n, count), xBC4(C_start + n, count));
  }
  return states;
}

// A channel's sum, in the order of a tree: of the usual number of lanes without their meeting at each branch.
fn sum_of_lanes(index: u32, lane: u32) -> f32 {
  workgroupBarrier();
  if (LANES == 16u) {
    let i = index - lane;
    let first = vec4<f32>(sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]) +
      vec4<f32>(sums[i + 8u], sums[i + 9u], sums[i + 10u], sums[i + 11u]);
    let second = vec4<f32>(sums[i + 4u], sums[i + 5u], sums[i + 6u], sums[i + 7u]) +
      vec4<f32>(sums[i + 12u], sums[i + 13u], sums[i + 14u], sums[i + 15u]);
    let four = first + second;
    return (four.x + four.z) + (four.y + four.w);
  }
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[index] += sums[index + half];
    }
    workgroupBarrier();
  }
  return sums[index];
}

@compute @workgroup_size(LANES, CHANNELS)
fn ssd_step(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
            @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.y, D_INNER - 1u);
  let writes = wid.x * CHANNELS + lid.y < D_INNER;
  let h = d / HEADDIM;
  let row = params.xBC_offset + b * params.ld_xBC;
  let B_start = row + D_INNER + h / (NHEADS / NGROUPS) * D_STATE;
  let element = (b * D_INNER + d) * D_STATE;
  // The first two of a lane are on their way before dt is known.
  var states = load_states(element, B_start, lid.x * 4u);
  var next = load_states(element, B_start, (lid.x + LANES) * 4u);
  let x = xBC1(row + d);
  let skip = D[select(h, d, D_HAS_HDIM)];
  var gate = 1.0;
  if (GATED) {
    gate = silu(zxbcdt[b * D_IN_PROJ + d]);
  }
  let dt_raw = zxbcdt[(b + 1u) * D_IN_PROJ - NHEADS + h] + dt_bias[h];
  let dt = clamp(softplus(dt_raw), DT_MIN, DT_MAX);
  let A_bar = exp(-dt * exp(A_log[h]));
  var sum = 0.0;
  for (var n = lid.x * 4u; n < D_STATE; n += LANES * 4u) {
    let s = fma(vec4<f32>(A_bar), states.s, dt * x * states.B);
    if (writes) {
      write4(element + n, D_STATE - n, s);
    }
    sum = plus_dot(sum, states.C, s);
    states = next;
    next = load_states(element, B_start, n + LANES * 8u);
  }
  sums[index] = sum;
  let total = sum_of_lanes(index, lid.x);
  if (writes && lid.x == 0u) {
    let result = fma(skip, x, total);
    y[b * D_INNER + d] = select(result, result * gate, GATED);
  }
}
