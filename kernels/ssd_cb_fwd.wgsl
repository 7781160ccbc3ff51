// ssd_cb_fwd: CB[t, s] = C[t] . B[s] for every two steps s <= t of a chunk, once for all heads of a group.
// A workgroup of 256 lanes computes a chunk's products as a tile of 64 x 64, a lane 4 x 4 of it, from slices of 16
// states in workgroup memory. What is above the diagonal nobody reads.
override D_INNER: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;    // at most 64
override ALIGNED: bool; // D_INNER and D_STATE are multiples of 4
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>; // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read_write> CB: array<f32>;  // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(2) var<uniform> params: Params;

fn write1(i: u32, value: f32) {
  CB[i] = value;
}

// Four elements of row t from column s on, of which those of the chunk's steps are stored.
fn write4(i: u32, steps: u32, t: u32, s: u32, values: vec4<f32>) {
  write_elements(i, left(s, steps, t < steps), values);
}

@compute @workgroup_size(LANES)
fn ssd_cb_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let g = wid.x;
  let first = wid.y * CHUNK;
  let steps = min(CHUNK, params.seqlen - first);
  // A lane brings states n0 + k to n0 + k + 3 of steps m to m + 3, of C or, in the next BLOCKS lanes, of B.
  let m = lane % BLOCKS / 4u * 4u;
  let k = lane % 4u * 4u;
  let row = (wid.z * params.seqlen + first + m) * CONV_DIM + D_INNER + g * D_STATE;
  let t4 = lane / 16u;
  let s4 = lane % 16u;
  var sums: mat4x4<f32>;
  for (var n0 = 0u; n0 < D_STATE; n0 += DEPTH) {
    let counts = left_of_rows(n0 + k, D_STATE, m, steps);
    if (lane < BLOCKS) {
      store_a(m, k, xBC_rows(row + NGROUPS * D_STATE + n0 + k, counts));
    } else if (lane < 2u * BLOCKS) {
      store_b(m, k, xBC_rows(row + n0 + k, counts));
    }
    workgroupBarrier();
    sums = add_slices(sums, lane);
    workgroupBarrier();
  }
  let t = t4 * 4u;
  let s = s4 * 4u;
  let i = (((wid.z * grid.y + wid.y) * NGROUPS + g) * CHUNK + t) * CHUNK + s;
  write4(i, steps, t, s, sums[0]);
  write4(i + CHUNK, steps, t + 1u, s, sums[1]);
  write4(i + 2u * CHUNK, steps, t + 2u, s, sums[2]);
  write4(i + 3u * CHUNK, steps, t + 3u, s, sums[3]);
}
