// ssd_x_bwd: the gradient of x in every step of a chunk, from the chunk's own steps and the state that it left.
//   q[s, p] = sum over t >= s of CB[t, s] exp(sum[t] - sum[s]) grad_y[t, p]
//             + exp(sum[last] - sum[s]) sum over n of B[s, n] grad_state[p, n]
//   grad_x[s, p] = dt[s] q[s, p] + D grad_y[s, p]      sums[s] = sum over p of x[s, p] q[s, p], for ssd_dt_bwd
// A workgroup of 256 lanes computes the chunk's steps x 64 channels of a head, a lane 4 x 4 of this tile: two products,
// one after the other, of slices of 16 states, then of 16 steps, in workgroup memory.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;       // at most 64
override D_HAS_HDIM: bool;
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  plane: u32, // batch NHEADS seqlen
}

@group(0) @binding(0) var<storage, read> xBC: array<f32>;            // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;   // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> CB: array<f32>;             // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> grad_states: array<f32>;    // (batch, chunks, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<storage, read> D: array<f32>;              // (NHEADS) or (NHEADS, HEADDIM)
@group(0) @binding(5) var<storage, read> grad_y: array<f32>;         // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> grad_xBC: array<f32>; // (batch, seqlen, CONV_DIM): x's columns
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;     // (tiles of p, batch, NHEADS, seqlen)
@group(0) @binding(8) var<uniform> params: Params;

const TILE = 64u;
const LANES = 256u;
const DEPTH = 16u;
// vec4s from one slice element to the next: one more than a tile's 16, so that lanes that store meet in few banks.
const STRIDE = 17u;
var<workgroup> s_tile: array<vec4<f32>, DEPTH * STRIDE>; // [n or t][s / 4]
var<workgroup> p_tile: array<vec4<f32>, DEPTH * STRIDE>; // [n or t][p / 4]; at last, sums of 4 steps by lane
var<workgroup> step_tile: array<vec4<f32>, TILE>;        // the chunk's decays

fn add_step(sum: mat4x4<f32>, k: u32, s4: u32, p4: u32) -> mat4x4<f32> {
  return plus_outer(sum, s_tile[k * STRIDE + s4], p_tile[k * STRIDE + p4]);
}

fn add_4_steps(sum: mat4x4<f32>, k: u32, s4: u32, p4: u32) -> mat4x4<f32> {
  let two = add_step(add_step(sum, k, s4, p4), k + 1u, s4, p4);
  return add_step(add_step(two, k + 2u, s4, p4), k + 3u, s4, p4);
}

fn add_slice(sum: mat4x4<f32>, s4: u32, p4: u32) -> mat4x4<f32> {
  let half = add_4_steps(add_4_steps(sum, 0u, s4, p4), 4u, s4, p4);
  return add_4_steps(add_4_steps(half, 8u, s4, p4), 12u, s4, p4);
}

// exp(sum[t] - sum[s])
fn decay(s: vec4<f32>, t: vec4<f32>) -> f32 {
  return exp((t.y - s.y) + (t.z - s.z));
}

// Stores grad_x of one channel, and returns x q.
fn write1(row: u32, dt: f32, is_inside: bool, h: u32, p: u32, q: f32) -> f32 {
  if (!is_inside || p >= HEADDIM) {
    return 0.0;
  }
  let d = h * HEADDIM + p;
  grad_xBC[row * CONV_DIM + d] = dt * q + D[select(h, d, D_HAS_HDIM)] * grad_y[row * D_INNER + d];
  return xBC[row * CONV_DIM + d] * q;
}

// Four channels from p on, of the chunk's step s.
fn write4(row0: u32, s: u32, steps: u32, h: u32, p: u32, q: vec4<f32>) -> f32 {
  let dt = step_tile[s].x;
  let is_inside = s < steps;
  let row = row0 + s;
  return (write1(row, dt, is_inside, h, p, q.x) + write1(row, dt, is_inside, h, p + 1u, q.y)) +
    (write1(row, dt, is_inside, h, p + 2u, q.z) + write1(row, dt, is_inside, h, p + 3u, q.w));
}

@compute @workgroup_size(LANES)
fn ssd_x_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
             @builtin(local_invocation_index) lane: u32) {
  let p_tiles = (HEADDIM + TILE - 1u) / TILE;
  let h = wid.x / p_tiles;
  let p0 = wid.x % p_tiles * TILE;
  let g = h / (NHEADS / NGROUPS);
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let decay0 = (b * NHEADS + h) * params.seqlen + chunk * CHUNK;
  let s4 = lane / 16u;
  let p4 = lane % 16u;
  if (lane < TILE) {
    // Past the last step: its copies, whose results nobody writes.
    step_tile[lane] = decays[decay0 + min(lane, steps - 1u)];
  }

  let state0 = ((b * count.y + chunk) * NHEADS + h) * HEADDIM;
  var q: mat4x4<f32>;
  for (var n0 = 0u; n0 < D_STATE; n0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      let k = i % DEPTH;
      let m = i / DEPTH;
      var B_value = 0.0;
      var grad = 0.0;
      if (n0 + k < D_STATE && m < steps) {
        B_value = xBC[(row0 + m) * CONV_DIM + D_INNER + g * D_STATE + n0 + k];
      }
      if (n0 + k < D_STATE && p0 + m < HEADDIM) {
        grad = grad_states[(state0 + p0 + m) * D_STATE + n0 + k];
      }
      s_tile[k * STRIDE + m / 4u][m % 4u] = B_value;
      p_tile[k * STRIDE + m / 4u][m % 4u] = grad;
    }
    workgroupBarrier();
    q = add_slice(q, s4, p4);
    workgroupBarrier();
  }
  let s = s4 * 4u;
  let last = step_tile[steps - 1u];
  q = mat4x4<f32>(q[0] * decay(step_tile[s], last), q[1] * decay(step_tile[s + 1u], last),
                  q[2] * decay(step_tile[s + 2u], last), q[3] * decay(step_tile[s + 3u], last));

  let CB0 = ((b * count.y + chunk) * NGROUPS + g) * CHUNK;
  for (var t0 = 0u; t0 < steps; t0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      let t = t0 + i / TILE;
      let m = i % TILE;
      var value = 0.0;
      var grad = 0.0;
      if (t < steps) {
        if (m <= t) {
          value = CB[(CB0 + t) * CHUNK + m] * decay(step_tile[m], step_tile[t]);
        }
        if (p0 + m < HEADDIM) {
          grad = grad_y[(row0 + t) * D_INNER + h * HEADDIM + p0 + m];
        }
      }
      s_tile[i / TILE * STRIDE + m / 4u][m % 4u] = value;
      p_tile[i / TILE * STRIDE + m / 4u][m % 4u] = grad;
    }
    workgroupBarrier();
    q = add_slice(q, s4, p4);
    workgroupBarrier();
  }

  let p = p0 + p4 * 4u;
  p_tile[lane] = vec4<f32>(
    write4(row0, s, steps, h, p, q[0]),
    write4(row0, s + 1u, steps, h, p, q[1]),
    write4(row0, s + 2u, steps, h, p, q[2]),
    write4(row0, s + 3u, steps, h, p, q[3]));
  workgroupBarrier();
  if (lane < steps) {
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) {
      sum += p_tile[lane / 4u * 16u + i][lane % 4u];
    }
    sums[wid.x % p_tiles * params.plane + decay0 + lane] = sum;
  }
}
