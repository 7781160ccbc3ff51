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
override ALIGNED: bool;    // HEADDIM and D_STATE are multiples of 4
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  plane: u32, // batch NHEADS seqlen
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>;         // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;      // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> CB: array<f32>;                // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> grad_states: array<vec4<f32>>; // (batch, chunks, D_INNER, D_STATE)
@group(0) @binding(4) var<storage, read> D: array<f32>;                 // (NHEADS) or (NHEADS, HEADDIM)
@group(0) @binding(5) var<storage, read> grad_y: array<vec4<f32>>;      // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> grad_xBC: array<f32>;    // (batch, seqlen, CONV_DIM): x's columns
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;        // (tiles of p, batch, NHEADS, seqlen)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> step_tile: array<vec4<f32>, TILE>; // the chunk's decays

// Four elements from i on, of which the first `count` are wanted: see four_of().
fn grad_state4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(grad_states[at.x], grad_states[at.y], i, count);
}

// Four of each of four rows, the first's from i on.
fn grad_state_rows(i: u32, counts: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(grad_state4(i, counts.x), grad_state4(i + D_STATE, counts.y),
                     grad_state4(i + 2u * D_STATE, counts.z), grad_state4(i + 3u * D_STATE, counts.w));
}

// CB[t, s] exp(sum[t] - sum[s]); i is where CB[t, s] is.
fn weight1(i: u32, s: u32, t: vec4<f32>, is_inside: bool) -> f32 {
  if (is_inside) {
    return CB[i] * decay(step_tile[s], t);
  }
  return 0.0;
}

fn weight4(i: u32, s: u32, t: vec4<f32>, count: u32) -> vec4<f32> {
  return vec4<f32>(weight1(i, s, t, count > 0u), weight1(i + 1u, s + 1u, t, count > 1u),
                   weight1(i + 2u, s + 2u, t, count > 2u), weight1(i + 3u, s + 3u, t, count > 3u));
}

// A binding of vec4s beside it, for ALIGNED rows, would be the ninth storage buffer, and WebGPU promises 8.
fn write1(i: u32, value: f32) {
  grad_xBC[i] = value;
}

// Stores grad_x of four channels from p on, of the chunk's step s, and returns the sum of their x q.
fn write4(row0: u32, s: u32, steps: u32, h: u32, p: u32, q: vec4<f32>) -> f32 {
  let count = left(p, HEADDIM, s < steps);
  if (count == 0u) {
    return 0.0;
  }
  let d = h * HEADDIM + p;
  var factor = vec4<f32>(D[h]);
  if (D_HAS_HDIM) {
    factor = vec4<f32>(D[d], D[d + 1u], D[d + 2u], D[d + 3u]);
  }
  let values = step_tile[s].x * q + factor * grad_y4((row0 + s) * D_INNER + d, count);
  let i = (row0 + s) * CONV_DIM + d;
  write_elements(i, count, values);
  return dot(xBC4(i, count), q);
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

  // A lane brings states n0 + k to n0 + k + 3: of steps m to m + 3 of B or, in the next BLOCKS lanes, of channels from
  // p0 + m on.
  let m = lane % BLOCKS / 4u * 4u;
  let k = lane % 4u * 4u;
  let B_row = (row0 + m) * CONV_DIM + D_INNER + g * D_STATE;
  let state_row = ((b * count.y + chunk) * D_INNER + h * HEADDIM + p0 + m) * D_STATE;
  var q: mat4x4<f32>;
  for (var n0 = 0u; n0 < D_STATE; n0 += DEPTH) {
    let n = n0 + k;
    if (lane < BLOCKS) {
      store_a(m, k, xBC_rows(B_row + n, left_of_rows(n, D_STATE, m, steps)));
    } else if (lane < 2u * BLOCKS) {
      store_b(m, k, grad_state_rows(state_row + n, left_of_rows(n, D_STATE, p0 + m, HEADDIM)));
    }
    workgroupBarrier();
    q = add_slices(q, lane);
    workgroupBarrier();
  }
  let s = s4 * 4u;
  let last = step_tile[steps - 1u];
  q = mat4x4<f32>(q[0] * decay(step_tile[s], last), q[1] * decay(step_tile[s + 1u], last),
                  q[2] * decay(step_tile[s + 2u], last), q[3] * decay(step_tile[s + 3u], last));

  // A lane brings steps and channels p4 * 4 to p4 * 4 + 3, of CB and grad_y in step t.
  let p = p0 + p4 * 4u;
  let column = p4 * 4u;
  let CB0 = ((b * count.y + chunk) * NGROUPS + g) * CHUNK;
  for (var t0 = 0u; t0 < steps; t0 += DEPTH) {
    let t = t0 + s4;
    let i = (CB0 + t) * CHUNK + column;
    a_tile[place(p4, s4)] = weight4(i, column, step_tile[min(t, TILE - 1u)], left(column, t + 1u, t < steps));
    b_tile[place(p4, s4)] = grad_y4((row0 + t) * D_INNER + h * HEADDIM + p, left(p, HEADDIM, t < steps));
    workgroupBarrier();
    q = add_slices(q, lane);
    workgroupBarrier();
  }

  b_tile[lane] = vec4<f32>(
    write4(row0, s, steps, h, p, q[0]),
    write4(row0, s + 1u, steps, h, p, q[1]),
    write4(row0, s + 2u, steps, h, p, q[2]),
    write4(row0, s + 3u, steps, h, p, q[3]));
  workgroupBarrier();
  if (lane < steps) {
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) {
      sum += b_tile[lane / 4u * 16u + i][lane % 4u];
    }
    sums[wid.x % p_tiles * params.plane + decay0 + lane] = sum;
  }
}
