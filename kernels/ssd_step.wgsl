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
  let C_start = B_start + NGROUPS * D_STATE;
  let dt_raw = zxbcdt[(b + 1u) * D_IN_PROJ - NHEADS + h] + dt_bias[h];
  let dt = clamp(softplus(dt_raw), DT_MIN, DT_MAX);
  let A_bar = exp(-dt * exp(A_log[h]));
  let x = xBC1(row + d);
  var sum = 0.0;
  for (var n = lid.x * 4u; n < D_STATE; n += LANES * 4u) {
    let element = (b * D_INNER + d) * D_STATE + n;
    let count = D_STATE - n;
    let s = fma(vec4<f32>(A_bar), state4(element, count), dt * x * xBC4(B_start + n, count));
    if (writes) {
      write4(element, count, s);
    }
    sum = plus_dot(sum, xBC4(C_start + n, count), s);
  }
  sums[index] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lid.x < half) {
      sums[index] += sums[index + half];
    }
    workgroupBarrier();
  }
  if (writes && lid.x == 0u) {
    var result = fma(D[select(h, d, D_HAS_HDIM)], x, sums[index]);
    if (GATED) {
      result *= silu(zxbcdt[b * D_IN_PROJ + d]);
    }
    y[b * D_INNER + d] = result;
  }
}
