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
override ALIGNED: bool;    // HEADDIM and D_STATE are multiples of 4
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>;        // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;     // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> CB: array<f32>;               // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> states: array<vec4<f32>>;     // (batch, slots, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<storage, read> D: array<f32>;                // (NHEADS) or (NHEADS, HEADDIM)
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;    // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> y_elements: array<f32>; // y, if not ALIGNED
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> step_tile: array<vec4<f32>, TILE>; // the chunk's decays

// Four elements from i on, of which the first `count` are wanted: see four_of().
fn state4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(states[at.x], states[at.y], i, count);
}

// Four of each of four rows, the first's from i on.
fn state_rows(i: u32, counts: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(state4(i, counts.x), state4(i + D_STATE, counts.y),
                     state4(i + 2u * D_STATE, counts.z), state4(i + 3u * D_STATE, counts.w));
}

// CB[t, s] exp(sum[t] - sum[s]) dt[s]; i is where CB[t, s] is. Zero where s comes after t, or t after the last step.
fn weight(i: u32, s: u32, t: u32, steps: u32) -> f32 {
  if (s <= t && t < steps) {
    let from_s = step_tile[s];
    return CB[i] * from_s.x * decay(from_s, step_tile[t]);
  }
  return 0.0;
}

// The same for four steps from t on.
fn weights(i: u32, s: u32, t: u32, steps: u32) -> vec4<f32> {
  return vec4<f32>(weight(i, s, t, steps), weight(i + CHUNK, s, t + 1u, steps),
                   weight(i + 2u * CHUNK, s, t + 2u, steps), weight(i + 3u * CHUNK, s, t + 3u, steps));
}

fn write1(i: u32, value: f32) {
  y_elements[i] = value;
}

// Four channels from p on, the skip added.
fn write4(row: u32, is_inside: bool, h: u32, p: u32, sums: vec4<f32>) {
  let count = left(p, HEADDIM, is_inside);
  if (count == 0u) {
    return;
  }
  let d = h * HEADDIM + p;
  var factor = vec4<f32>(D[h]);
  if (D_HAS_HDIM) {
    factor = vec4<f32>(D[d], D[d + 1u], D[d + 2u], D[d + 3u]);
  }
  let values = sums + factor * xBC4(row * CONV_DIM + d, count);
  let i = row * D_INNER + d;
  if (ALIGNED) {
    y[i / 4u] = values;
  } else {
    write_elements(i, count, values);
  }
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

  // A lane brings columns k to k + 3 of rows m to m + 3: of steps of C or, in the next BLOCKS lanes, of channels of the
  // state.
  let m = lane % BLOCKS / 4u * 4u;
  let k = lane % 4u * 4u;
  let C_row = (row0 + m) * CONV_DIM + D_INNER + (NGROUPS + g) * D_STATE;
  let state_row = (((b * (count.y + u32(KEEP)) + chunk) * NHEADS + h) * HEADDIM + p0 + m) * D_STATE;
  var sums: mat4x4<f32>;
  for (var n0 = 0u; n0 < D_STATE; n0 += DEPTH) {
    let n = n0 + k;
    if (lane < BLOCKS) {
      store_a(m, k, xBC_rows(C_row + n, left_of_rows(n, D_STATE, m, steps)));
    } else if (lane < 2u * BLOCKS) {
      store_b(m, k, state_rows(state_row + n, left_of_rows(n, D_STATE, p0 + m, HEADDIM)));
    }
    workgroupBarrier();
    sums = add_slices(sums, lane);
    workgroupBarrier();
  }
  let t = t4 * 4u;
  sums = mat4x4<f32>(sums[0] * step_tile[t].w, sums[1] * step_tile[t + 1u].w,
                     sums[2] * step_tile[t + 2u].w, sums[3] * step_tile[t + 3u].w);

  // A lane weighs four steps of a column of CB: the 8 that store at once have 4 values of k / 4 and 2 of m / 4.
  let column = lane % 4u * 4u + lane / 8u % 4u;
  let m4 = lane / 4u % 2u + lane / 32u * 2u;
  let CB_column = (((b * count.y + chunk) * NGROUPS + g) * CHUNK + m4 * 4u) * CHUNK + column;
  let x_column = h * HEADDIM + p0 + p4 * 4u;
  for (var s0 = 0u; s0 < steps; s0 += DEPTH) {
    // Of x, channels p4 * 4 to p4 * 4 + 3 of step s0 + t4.
    let x_left = left(p0 + p4 * 4u, HEADDIM, s0 + t4 < steps);
    let x = xBC4((row0 + s0 + t4) * CONV_DIM + x_column, x_left);
    a_tile[place(m4, column)] = weights(CB_column + s0, s0 + column, m4 * 4u, steps);
    b_tile[place(p4, t4)] = x;
    workgroupBarrier();
    sums = add_slices(sums, lane);
    workgroupBarrier();
  }

  let row = row0 + t;
  let p = p0 + p4 * 4u;
  write4(row, t < steps, h, p, sums[0]);
  write4(row + 1u, t + 1u < steps, h, p, sums[1]);
  write4(row + 2u, t + 2u < steps, h, p, sums[2]);
  write4(row + 3u, t + 3u < steps, h, p, sums[3]);
}
