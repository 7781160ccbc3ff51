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
override ALIGNED: bool;  // HEADDIM and D_STATE are multiples of 4
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;               // xBC, or grad_y (batch, seqlen, D_INNER)
@group(0) @binding(1) var<storage, read> xBC: array<vec4<f32>>;             // (batch, seqlen, CONV_DIM)
@group(0) @binding(2) var<storage, read> decays: array<vec4<f32>>;          // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(3) var<storage, read_write> states: array<vec4<f32>>;    // (batch, slots, NHEADS, HEADDIM, D_STATE)
@group(0) @binding(4) var<storage, read_write> states_elements: array<f32>; // states, if not ALIGNED
@group(0) @binding(5) var<uniform> params: Params;

// Four elements from i on, of which the first `count` are wanted: see four_of().
fn x4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(x[at.x], x[at.y], i, count);
}

// What step t is multiplied by.
fn factor(step: vec4<f32>, last: vec4<f32>) -> f32 {
  if (BACKWARD) {
    return step.w;
  }
  return step.x * decay(step, last);
}

fn write1(i: u32, value: f32) {
  states_elements[i] = value;
}

// Four states of channel p from n on.
fn write4(i: u32, p: u32, n: u32, values: vec4<f32>) {
  let count = left(n, D_STATE, p < HEADDIM);
  if (!ALIGNED) {
    write_elements(i, count, values);
  } else if (count > 0u) {
    states[i / 4u] = values;
  }
}

@compute @workgroup_size(LANES)
fn ssd_states(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let n_tiles = (D_STATE + TILE - 1u) / TILE;
  let p_tiles = (HEADDIM + TILE - 1u) / TILE;
  let h = wid.x / n_tiles / p_tiles;
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let decay0 = (b * NHEADS + h) * params.seqlen + chunk * CHUNK;
  let last = decays[decay0 + steps - 1u];
  let group = h / (NHEADS / NGROUPS) + select(0u, NGROUPS, BACKWARD);
  let ld_x = select(CONV_DIM, D_INNER, BACKWARD);
  // A lane brings 4 channels and 4 states of step `lane / 16` of a slice, and has 4 of each in the result.
  let column = lane % 16u * 4u;
  let p = wid.x / n_tiles % p_tiles * TILE + column;
  let n = wid.x % n_tiles * TILE + column;
  let row = lane / 16u;
  let at = place(lane % 16u, row);
  var sums: mat4x4<f32>;
  for (var t0 = 0u; t0 < steps; t0 += DEPTH) {
    let t = t0 + row;
    let step = decays[decay0 + min(t, steps - 1u)];
    a_tile[at] = factor(step, last) * x4((row0 + t) * ld_x + h * HEADDIM + p, left(p, HEADDIM, t < steps));
    b_tile[at] = xBC4((row0 + t) * CONV_DIM + D_INNER + group * D_STATE + n, left(n, D_STATE, t < steps));
    workgroupBarrier();
    sums = add_slices(sums, lane);
    workgroupBarrier();
  }
  let slot = b * (count.y + u32(KEEP)) + chunk + u32(KEEP);
  let first = p - column + row * 4u;
  let i = ((slot * NHEADS + h) * HEADDIM + first) * D_STATE + n;
  write4(i, first, n, sums[0]);
  write4(i + D_STATE, first + 1u, n, sums[1]);
  write4(i + 2u * D_STATE, first + 2u, n, sums[2]);
  write4(i + 3u * D_STATE, first + 3u, n, sums[3]);
}
