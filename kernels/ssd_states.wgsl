// ssd_states: what each chunk's own steps leave in the state of a head, as if the chunk had begun with zeros.
//   S[p, n] = sum over the chunk's steps s of exp(sum[last] - sum[s]) dt[s] x[s, p] B[s, n]
// BACKWARD: what the chunk's own steps add to the gradient of the state that the chunk began with.
//   S[p, n] = sum over the chunk's steps t of exp(sum[t]) grad_y[t, p] C[t, n]
// A workgroup of 256 lanes computes a tile of 64 channels x 64 states, a lane 4 x 4 of it, from slices of 16 steps in
// workgroup memory. ssd_pass then carries the states from chunk to chunk.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;     // at most 64
override KEEP: bool;     // states has a slot more, and chunk c's is c + 1: see ssd_pass
override BACKWARD: bool;
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // xBC, or BACKWARD: grad_y (batch, seqlen, D_INNER)
@group(0) @binding(1) var<storage, read> xBC: array<f32>;          // (batch, seqlen, CONV_DIM)
@group(0) @binding(2) var<storage, read> decays: array<vec4<f32>>; // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(3) var<storage, read_write> states: array<f32>; // (batch, slots, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<uniform> params: Params;

const TILE = 64u;
const LANES = 256u;
const DEPTH = 16u;
const STRIDE = 16u; // vec4s from one step to the next
var<workgroup> x_tile: array<vec4<f32>, DEPTH * STRIDE>;
var<workgroup> B_tile: array<vec4<f32>, DEPTH * STRIDE>;

fn add_step(sums: mat4x4<f32>, k: u32, p4: u32, n4: u32) -> mat4x4<f32> {
  return plus_outer(sums, x_tile[k * STRIDE + p4], B_tile[k * STRIDE + n4]);
}

fn add_4_steps(sums: mat4x4<f32>, k: u32, p4: u32, n4: u32) -> mat4x4<f32> {
  let two = add_step(add_step(sums, k, p4, n4), k + 1u, p4, n4);
  return add_step(add_step(two, k + 2u, p4, n4), k + 3u, p4, n4);
}

// What step t is multiplied by.
fn factor(step: vec4<f32>, last: vec4<f32>) -> f32 {
  if (BACKWARD) {
    return step.w;
  }
  return step.x * exp((last.y - step.y) + (last.z - step.z));
}

fn write1(i: u32, is_inside: bool, value: f32) {
  if (is_inside) {
    states[i] = value;
  }
}

// Four states of channel p from n on.
fn write4(i: u32, p: u32, n: u32, values: vec4<f32>) {
  let end = select(0u, D_STATE, p < HEADDIM);
  write1(i, n < end, values.x);
  write1(i + 1u, n + 1u < end, values.y);
  write1(i + 2u, n + 2u < end, values.z);
  write1(i + 3u, n + 3u < end, values.w);
}

@compute @workgroup_size(LANES)
fn ssd_states(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let n_tiles = (D_STATE + TILE - 1u) / TILE;
  let p_tiles = (HEADDIM + TILE - 1u) / TILE;
  let n0 = wid.x % n_tiles * TILE;
  let p0 = wid.x / n_tiles % p_tiles * TILE;
  let h = wid.x / n_tiles / p_tiles;
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let decay0 = (b * NHEADS + h) * params.seqlen + chunk * CHUNK;
  let last = decays[decay0 + steps - 1u];
  let B_column = D_INNER + (h / (NHEADS / NGROUPS) + select(0u, NGROUPS, BACKWARD)) * D_STATE;
  let ld_x = select(CONV_DIM, D_INNER, BACKWARD);
  let p4 = lane / 16u;
  let n4 = lane % 16u;
  var sums: mat4x4<f32>;
  for (var t0 = 0u; t0 < steps; t0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      let t = t0 + i / TILE;
      let m = i % TILE;
      var x_value = 0.0;
      var B_value = 0.0;
      if (t < steps) {
        if (p0 + m < HEADDIM) {
          x_value = factor(decays[decay0 + t], last) * x[(row0 + t) * ld_x + h * HEADDIM + p0 + m];
        }
        if (n0 + m < D_STATE) {
          B_value = xBC[(row0 + t) * CONV_DIM + B_column + n0 + m];
        }
      }
      x_tile[i / TILE * STRIDE + m / 4u][m % 4u] = x_value;
      B_tile[i / TILE * STRIDE + m / 4u][m % 4u] = B_value;
    }
    workgroupBarrier();
    sums = add_4_steps(sums, 0u, p4, n4);
    sums = add_4_steps(sums, 4u, p4, n4);
    sums = add_4_steps(sums, 8u, p4, n4);
    sums = add_4_steps(sums, 12u, p4, n4);
    workgroupBarrier();
  }
  let slot = b * (count.y + u32(KEEP)) + chunk + u32(KEEP);
  let p = p0 + p4 * 4u;
  let n = n0 + n4 * 4u;
  let i = ((slot * NHEADS + h) * HEADDIM + p) * D_STATE + n;
  write4(i, p, n, sums[0]);
  write4(i + D_STATE, p + 1u, n, sums[1]);
  write4(i + 2u * D_STATE, p + 2u, n, sums[2]);
  write4(i + 3u * D_STATE, p + 3u, n, sums[3]);
}
