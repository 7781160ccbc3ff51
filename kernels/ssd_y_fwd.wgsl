// ssd_y_fwd: the output of every step of a chunk, from the chunk's own inputs and the state that it began with.
//   y[t, p] = sum over s <= t of CB[t, s] exp(sum[t] - sum[s]) dt[s] x[s, p]
//             + exp(sum[t]) sum over n of C[t, n] state[p, n]  +  D x[t, p]
// A workgroup of 256 lanes computes the chunk's steps x 64 channels of a head, a lane 4 x 4 of this tile: two products,
// one after the other, of slices of 16 states, then of 16 steps, in workgroup memory.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;       // at most 64
override KEEP: bool;       // states has a slot more than chunks: see ssd_pass
override D_HAS_HDIM: bool;
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> xBC: array<f32>;          // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>; // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> CB: array<f32>;           // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> states: array<f32>;       // (batch, slots, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<storage, read> D: array<f32>;            // (NHEADS) or (NHEADS, HEADDIM)
@group(0) @binding(5) var<storage, read_write> y: array<f32>;      // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<uniform> params: Params;

const TILE = 64u;
const LANES = 256u;
const DEPTH = 16u;
// vec4s from one slice element to the next: one more than a tile's 16, so that lanes that store meet in few banks.
const STRIDE = 17u;
var<workgroup> t_tile: array<vec4<f32>, DEPTH * STRIDE>; // [n or s][t / 4]
var<workgroup> p_tile: array<vec4<f32>, DEPTH * STRIDE>; // [n or s][p / 4]
var<workgroup> step_tile: array<vec4<f32>, TILE>;        // the chunk's decays

fn add_step(sums: mat4x4<f32>, k: u32, t4: u32, p4: u32) -> mat4x4<f32> {
  return plus_outer(sums, t_tile[k * STRIDE + t4], p_tile[k * STRIDE + p4]);
}

fn add_4_steps(sums: mat4x4<f32>, k: u32, t4: u32, p4: u32) -> mat4x4<f32> {
  let two = add_step(add_step(sums, k, t4, p4), k + 1u, t4, p4);
  return add_step(add_step(two, k + 2u, t4, p4), k + 3u, t4, p4);
}

fn add_slice(sums: mat4x4<f32>, t4: u32, p4: u32) -> mat4x4<f32> {
  let half = add_4_steps(add_4_steps(sums, 0u, t4, p4), 4u, t4, p4);
  return add_4_steps(add_4_steps(half, 8u, t4, p4), 12u, t4, p4);
}

// exp(sum[t] - sum[s]) dt[s]
fn weight_of(s: vec4<f32>, t: vec4<f32>) -> f32 {
  return s.x * exp((t.y - s.y) + (t.z - s.z));
}

fn write1(row: u32, is_inside: bool, h: u32, p: u32, sum: f32) {
  if (is_inside && p < HEADDIM) {
    let d = h * HEADDIM + p;
    y[row * D_INNER + d] = sum + D[select(h, d, D_HAS_HDIM)] * xBC[row * CONV_DIM + d];
  }
}

// Four channels from p on.
fn write4(row: u32, is_inside: bool, h: u32, p: u32, sums: vec4<f32>) {
  write1(row, is_inside, h, p, sums.x);
  write1(row, is_inside, h, p + 1u, sums.y);
  write1(row, is_inside, h, p + 2u, sums.z);
  write1(row, is_inside, h, p + 3u, sums.w);
}

@compute @workgroup_size(LANES)
fn ssd_y_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
             @builtin(local_invocation_index) lane: u32) {
  let p_tiles = (HEADDIM + TILE - 1u) / TILE;
  let h = wid.x / p_tiles;
  let p0 = wid.x % p_tiles * TILE;
  let g = h / (NHEADS / NGROUPS);
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let t4 = lane / 16u;
  let p4 = lane % 16u;
  if (lane < TILE) {
    // Past the last step: its copies, whose results nobody writes.
    step_tile[lane] = decays[(b * NHEADS + h) * params.seqlen + chunk * CHUNK + min(lane, steps - 1u)];
  }

  let state0 = ((b * (count.y + u32(KEEP)) + chunk) * NHEADS + h) * HEADDIM;
  let C_column = D_INNER + (NGROUPS + g) * D_STATE;
  var sums: mat4x4<f32>;
  for (var n0 = 0u; n0 < D_STATE; n0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      let k = i % DEPTH;
      let m = i / DEPTH;
      var c = 0.0;
      var state = 0.0;
      if (n0 + k < D_STATE && m < steps) {
        c = xBC[(row0 + m) * CONV_DIM + C_column + n0 + k];
      }
      if (n0 + k < D_STATE && p0 + m < HEADDIM) {
        state = states[(state0 + p0 + m) * D_STATE + n0 + k];
      }
      t_tile[k * STRIDE + m / 4u][m % 4u] = c;
      p_tile[k * STRIDE + m / 4u][m % 4u] = state;
    }
    workgroupBarrier();
    sums = add_slice(sums, t4, p4);
    workgroupBarrier();
  }
  let t = t4 * 4u;
  sums = mat4x4<f32>(sums[0] * step_tile[t].w, sums[1] * step_tile[t + 1u].w,
                     sums[2] * step_tile[t + 2u].w, sums[3] * step_tile[t + 3u].w);

  let CB0 = ((b * count.y + chunk) * NGROUPS + g) * CHUNK;
  for (var s0 = 0u; s0 < steps; s0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      let s = s0 + i % DEPTH;
      let to = i / DEPTH;
      var value = 0.0;
      if (s <= to && to < steps) {
        value = CB[(CB0 + to) * CHUNK + s] * weight_of(step_tile[s], step_tile[to]);
      }
      t_tile[i % DEPTH * STRIDE + to / 4u][to % 4u] = value;
      let k = i / TILE;
      let m = i % TILE;
      var x = 0.0;
      if (s0 + k < steps && p0 + m < HEADDIM) {
        x = xBC[(row0 + s0 + k) * CONV_DIM + h * HEADDIM + p0 + m];
      }
      p_tile[k * STRIDE + m / 4u][m % 4u] = x;
    }
    workgroupBarrier();
    sums = add_slice(sums, t4, p4);
    workgroupBarrier();
  }

  let row = row0 + t;
  let p = p0 + p4 * 4u;
  write4(row, t < steps, h, p, sums[0]);
  write4(row + 1u, t + 1u < steps, h, p, sums[1]);
  write4(row + 2u, t + 2u < steps, h, p, sums[2]);
  write4(row + 3u, t + 3u < steps, h, p, sums[3]);
}
