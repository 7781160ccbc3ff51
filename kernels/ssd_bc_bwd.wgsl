// ssd_bc_bwd: the gradients of B and C in every step of a chunk, from all heads of a group.
//   to_C[h, t, n] = exp(sum[t]) sum over p of grad_y[t, p] state[p, n]
//   grad_C[t, n] = sum over s <= t of grad_CB[t, s] B[s, n] + sum over h of to_C[h, t, n]
//   to_B[h, s, n] = exp(sum[last] - sum[s]) dt[s] sum over p of x[s, p] grad_state[p, n]
//   grad_B[s, n] = sum over t >= s of grad_CB[t, s] C[t, n] + sum over h of to_B[h, s, n]
//   with the state before the chunk, and the gradient of the state after it
//   sums[h, t] = sum over n of B[t, n] to_B[h, t, n], and of C[t, n] to_C[h, t, n], for ssd_dt_bwd
// A workgroup of 256 lanes computes the chunk's steps x 64 states of one of the two, a lane 4 x 4 of this tile: a
// product of slices of 16 steps, then for each head one of slices of 16 channels, in workgroup memory.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;    // at most 64
override ALIGNED: bool; // HEADDIM, D_STATE and CHUNK are multiples of 4
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  plane: u32, // batch NHEADS seqlen
  start: u32, // where the sums begin in sums
}

@group(0) @binding(0) var<storage, read> xBC: array<vec4<f32>>;         // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;      // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> grad_CB: array<vec4<f32>>;     // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> ssm_state: array<vec4<f32>>;   // (batch, chunks + 1, D_INNER, D_STATE)
@group(0) @binding(4) var<storage, read> grad_states: array<vec4<f32>>; // (batch, chunks, D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> grad_y: array<vec4<f32>>;      // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> grad_xBC: array<f32>;    // (batch, seqlen, CONV_DIM): B and C
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;        // B, C: (tiles of n, batch, NHEADS, seqlen)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> parts: array<vec4<f32>, LANES>; // of each lane: its share in the sums of its four steps

// Four elements from i on, of which the first `count` are wanted: see four_of().
fn grad_CB4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(grad_CB[at.x], grad_CB[at.y], i, count);
}

fn state4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(ssm_state[at.x], ssm_state[at.y], i, count);
}

fn grad_state4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(grad_states[at.x], grad_states[at.y], i, count);
}

// Four of each of four rows, the first's from i on.
fn grad_CB_rows(i: u32, counts: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(grad_CB4(i, counts.x), grad_CB4(i + CHUNK, counts.y),
                     grad_CB4(i + 2u * CHUNK, counts.z), grad_CB4(i + 3u * CHUNK, counts.w));
}

// What step t's sum over p is multiplied by; decay0 is where the head's decays of the chunk begin.
fn factor(of_B: bool, decay0: u32, t: u32, steps: u32) -> f32 {
  let step = decays[decay0 + min(t, steps - 1u)];
  if (of_B) {
    let last = decays[decay0 + steps - 1u];
    return step.x * decay(step, last);
  }
  return step.w;
}

// A binding of vec4s beside it, for ALIGNED rows, would be the ninth storage buffer, and WebGPU promises 8.
fn write1(i: u32, value: f32) {
  grad_xBC[i] = value;
}

@compute @workgroup_size(LANES)
fn ssd_bc_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let n_tiles = (D_STATE + TILE - 1u) / TILE;
  let of_B = wid.x / n_tiles % 2u == 0u;
  let g = wid.x / n_tiles / 2u;
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let t4 = lane / 16u;
  let n4 = lane % 16u;
  let t = t4 * 4u;
  let n = wid.x % n_tiles * TILE + n4 * 4u;
  let B_column = D_INNER + g * D_STATE + n;
  let C_column = B_column + NGROUPS * D_STATE;
  let own = (row0 + t) * CONV_DIM + select(C_column, B_column, of_B);
  let other_column = select(B_column, C_column, of_B);
  // Where slices are columns, the first BLOCKS lanes bring columns k to k + 3 of rows m to m + 3; where they are rows,
  // a lane brings 4 columns of row t4.
  let m = lane / 4u * 4u;
  let k = lane % 4u * 4u;
  var total: mat4x4<f32>;

  // grad_CB[t, s], zero above the diagonal, with t along the tile for C, and s along the tile for B.
  let CB0 = ((b * grid.y + chunk) * NGROUPS + g) * CHUNK;
  for (var k0 = 0u; k0 < steps; k0 += DEPTH) {
    // Stored last, so that it is on its way beside what goes into a_tile.
    let b_values = xBC4((row0 + k0 + t4) * CONV_DIM + other_column, left(n, D_STATE, k0 + t4 < steps));
    if (of_B) {
      a_tile[place(n4, t4)] = grad_CB4((CB0 + k0 + t4) * CHUNK + n4 * 4u, left(n4 * 4u, steps, k0 + t4 < steps));
    } else if (lane < BLOCKS) {
      store_a(m, k, grad_CB_rows((CB0 + m) * CHUNK + k0 + k, left_of_rows(k0 + k, steps, m, steps)));
    }
    b_tile[place(n4, t4)] = b_values;
    workgroupBarrier();
    total = add_slices(total, lane);
    workgroupBarrier();
  }

  let heads = NHEADS / NGROUPS;
  let plane = params.start + wid.x % (2u * n_tiles) * params.plane;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    // Written out: naga zeroes a variable without a value only once, not in each round of the loop.
    var product = mat4x4<f32>();
    for (var p0 = 0u; p0 < HEADDIM; p0 += DEPTH) {
      let d = h * HEADDIM + p0 + k;
      let channel = h * HEADDIM + p0 + t4;
      let counts = left_of_rows(p0 + k, HEADDIM, m, steps);
      let state_count = left(n, D_STATE, p0 + t4 < HEADDIM);
      var b_values: vec4<f32>;
      if (of_B) {
        b_values = grad_state4(((b * grid.y + chunk) * D_INNER + channel) * D_STATE + n, state_count);
      } else {
        b_values = state4(((b * (grid.y + 1u) + chunk) * D_INNER + channel) * D_STATE + n, state_count);
      }
      if (lane < BLOCKS && of_B) {
        store_a(m, k, xBC_rows((row0 + m) * CONV_DIM + d, counts));
      } else if (lane < BLOCKS) {
        store_a(m, k, grad_y_rows((row0 + m) * D_INNER + d, counts));
      }
      b_tile[place(n4, t4)] = b_values;
      workgroupBarrier();
      product = add_slices(product, lane);
      workgroupBarrier();
    }
    let decay0 = (b * NHEADS + h) * params.seqlen + chunk * CHUNK;
    product = mat4x4<f32>(
      product[0] * factor(of_B, decay0, t, steps),
      product[1] * factor(of_B, decay0, t + 1u, steps),
      product[2] * factor(of_B, decay0, t + 2u, steps),
      product[3] * factor(of_B, decay0, t + 3u, steps));
    total += product;
    parts[lane] = vec4<f32>(
      dot(product[0], xBC4(own, left(n, D_STATE, t < steps))),
      dot(product[1], xBC4(own + CONV_DIM, left(n, D_STATE, t + 1u < steps))),
      dot(product[2], xBC4(own + 2u * CONV_DIM, left(n, D_STATE, t + 2u < steps))),
      dot(product[3], xBC4(own + 3u * CONV_DIM, left(n, D_STATE, t + 3u < steps))));
    workgroupBarrier();
    if (lane < steps) {
      var sum = 0.0;
      for (var i = 0u; i < 16u; i++) {
        sum += parts[lane / 4u * 16u + i][lane % 4u];
      }
      sums[plane + decay0 + lane] = sum;
    }
  }
  write_elements(own, left(n, D_STATE, t < steps), total[0]);
  write_elements(own + CONV_DIM, left(n, D_STATE, t + 1u < steps), total[1]);
  write_elements(own + 2u * CONV_DIM, left(n, D_STATE, t + 2u < steps), total[2]);
  write_elements(own + 3u * CONV_DIM, left(n, D_STATE, t + 3u < steps), total[3]);
}
