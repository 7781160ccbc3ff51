// ssd_cb_bwd: the gradient of CB[t, s] = C[t] . B[s] for every two steps s <= t of a chunk, from all heads of a group.
//   W[t, s] = exp(sum[t] - sum[s]) dt[s] sum over p of grad_y[t, p] x[s, p]
//   grad_CB = sum of W over the group's heads
//   sums[t] = sum over s < t <= r of CB[r, s] W[r, s], for ssd_dt_bwd: of all that goes from a step before t to one
//             from t on. It is added up from these parts alone, since differences of larger sums would drown it.
// A workgroup of 256 lanes computes a chunk's W as a tile of 64 x 64, a lane 4 x 4 of it: head after head a product,
// from slices of 16 channels in workgroup memory. What is above the diagonal of grad_CB is zero.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;    // at most 64
override ALIGNED: bool; // HEADDIM and D_STATE are multiples of 4
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  start: u32, // where the sums begin in sums
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>;     // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;  // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> CB: array<f32>;            // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> grad_y: array<vec4<f32>>;  // (batch, seqlen, D_INNER)
@group(0) @binding(4) var<storage, read_write> grad_CB: array<f32>; // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;    // from start on (batch, NHEADS, seqlen)
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> step_tile: array<vec4<f32>, TILE>; // the chunk's decays
var<workgroup> parts: array<vec4<f32>, LANES>; // of each lane: its rows' sums, then its columns'

// exp(sum[t] - sum[s]) dt[s], zero where s comes after t.
fn weight(t: u32, s: u32) -> f32 {
  let a = step_tile[s];
  let b = step_tile[t];
  return select(0.0, a.x * decay(a, b), s <= t);
}

// The same for four steps from s on.
fn weights(t: u32, s: u32) -> vec4<f32> {
  return vec4<f32>(weight(t, s), weight(t, s + 1u), weight(t, s + 2u), weight(t, s + 3u));
}

fn CB_at(i: u32, is_inside: bool) -> f32 {
  if (is_inside) {
    return CB[i];
  }
  return 0.0;
}

// Four elements of row t from column s on, zero above the diagonal and past the last step.
fn CB_row(i: u32, steps: u32, t: u32, s: u32) -> vec4<f32> {
  let end = select(0u, t + 1u, t < steps);
  return vec4<f32>(CB_at(i, s < end), CB_at(i + 1u, s + 1u < end), CB_at(i + 2u, s + 2u < end),
                   CB_at(i + 3u, s + 3u < end));
}

// Which of the four steps from t on are at or after s.
fn from_on(s: u32, t: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(t, t + 1u, t + 2u, t + 3u) >= vec4<u32>(s));
}

fn write1(i: u32, value: f32) {
  grad_CB[i] = value;
}

// Four elements of row t from column s on; past the last step they are zeros, which ssd_bc_bwd may read with others.
fn write4(i: u32, steps: u32, t: u32, s: u32, values: vec4<f32>) {
  write_elements(i, left(s, CHUNK, t < steps), values);
}

@compute @workgroup_size(LANES)
fn ssd_cb_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let g = wid.x;
  let first = wid.y * CHUNK;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - first);
  let row0 = b * params.seqlen + first;
  let t4 = lane / 16u;
  let s4 = lane % 16u;
  let t = t4 * 4u;
  let s = s4 * 4u;
  let element = (((b * grid.y + wid.y) * NGROUPS + g) * CHUNK + t) * CHUNK + s;
  let own_CB = mat4x4<f32>(
    CB_row(element, steps, t, s),
    CB_row(element + CHUNK, steps, t + 1u, s),
    CB_row(element + 2u * CHUNK, steps, t + 2u, s),
    CB_row(element + 3u * CHUNK, steps, t + 3u, s));
  // A lane brings channels p0 + k to p0 + k + 3 of steps m to m + 3, of grad_y or, in the next BLOCKS lanes, of x.
  let m = lane % BLOCKS / 4u * 4u;
  let k = lane % 4u * 4u;
  let heads = NHEADS / NGROUPS;
  var total: mat4x4<f32>;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    let decay0 = (b * NHEADS + h) * params.seqlen + first;
    if (lane < TILE) {
      step_tile[lane] = decays[decay0 + min(lane, steps - 1u)];
    }
    // Written out: naga zeroes a variable without a value only once, not in each round of the loop.
    var W = mat4x4<f32>();
    for (var p0 = 0u; p0 < HEADDIM; p0 += DEPTH) {
      let counts = left_of_rows(p0 + k, HEADDIM, m, steps);
      if (lane < BLOCKS) {
        store_a(m, k, grad_y_rows((row0 + m) * D_INNER + h * HEADDIM + p0 + k, counts));
      } else if (lane < 2u * BLOCKS) {
        store_b(m, k, xBC_rows((row0 + m) * CONV_DIM + h * HEADDIM + p0 + k, counts));
      }
      workgroupBarrier();
      W = add_slices(W, lane);
      workgroupBarrier();
    }
    W = mat4x4<f32>(W[0] * weights(t, s), W[1] * weights(t + 1u, s), W[2] * weights(t + 2u, s),
                    W[3] * weights(t + 3u, s));
    total += W;

    // Column j of the transpose: CB W of the lane's four rows in step s + j.
    let columns = transpose(mat4x4<f32>(own_CB[0] * W[0], own_CB[1] * W[1], own_CB[2] * W[2], own_CB[3] * W[3]));
    parts[lane] = (columns[0] + columns[1]) + (columns[2] + columns[3]);
    workgroupBarrier();
    var before = vec4<f32>(0.0); // each row's sum over the steps before s
    for (var i = 0u; i < s4; i++) {
      before += parts[t4 * 16u + i];
    }
    let before1 = before + columns[0];
    let before2 = before1 + columns[1];
    let before3 = before2 + columns[2];
    workgroupBarrier();
    parts[lane] = vec4<f32>(dot(before, from_on(s, t)), dot(before1, from_on(s + 1u, t)),
                            dot(before2, from_on(s + 2u, t)), dot(before3, from_on(s + 3u, t)));
    workgroupBarrier();
    if (lane < steps) {
      var sum = 0.0;
      for (var i = 0u; i < 16u; i++) {
        sum += parts[i * 16u + lane / 4u][lane % 4u];
      }
      sums[params.start + decay0 + lane] = sum;
    }
  }
  write4(element, steps, t, s, total[0]);
  write4(element + CHUNK, steps, t + 1u, s, total[1]);
  write4(element + 2u * CHUNK, steps, t + 2u, s, total[2]);
  write4(element + 3u * CHUNK, steps, t + 3u, s, total[3]);
}
