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
override CHUNK: u32;  // at most 64
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  plane: u32, // batch NHEADS seqlen
  start: u32, // where the sums begin in sums
}

@group(0) @binding(0) var<storage, read> xBC: array<f32>;            // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;   // (batch, NHEADS, seqlen): see ssd_decays
@group(0) @binding(2) var<storage, read> grad_CB: array<f32>;        // (batch, chunks, NGROUPS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> ssm_state: array<f32>;      // (batch, chunks + 1, D_INNER, D_STATE)
@group(0) @binding(4) var<storage, read> grad_states: array<f32>;    // (batch, chunks, D_INNER, D_STATE)
@group(0) @binding(5) var<storage, read> grad_y: array<f32>;         // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> grad_xBC: array<f32>; // (batch, seqlen, CONV_DIM): columns of B and C
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;     // (B and C, tiles of n, batch, NHEADS, seqlen)
@group(0) @binding(8) var<uniform> params: Params;

const TILE = 64u;
const LANES = 256u;
const DEPTH = 16u;
// vec4s from one slice element to the next: one more than a tile's 16, so that lanes that store meet in few banks.
const STRIDE = 17u;
var<workgroup> t_tile: array<vec4<f32>, DEPTH * STRIDE>; // [step or channel][t / 4]
var<workgroup> n_tile: array<vec4<f32>, DEPTH * STRIDE>; // [step or channel][n / 4]
var<workgroup> parts: array<vec4<f32>, LANES>;           // of each lane: its share in the sums of its four steps

fn add_step(product: mat4x4<f32>, k: u32, t4: u32, n4: u32) -> mat4x4<f32> {
  return plus_outer(product, t_tile[k * STRIDE + t4], n_tile[k * STRIDE + n4]);
}

fn add_4_steps(product: mat4x4<f32>, k: u32, t4: u32, n4: u32) -> mat4x4<f32> {
  let two = add_step(add_step(product, k, t4, n4), k + 1u, t4, n4);
  return add_step(add_step(two, k + 2u, t4, n4), k + 3u, t4, n4);
}

fn add_slice(product: mat4x4<f32>, t4: u32, n4: u32) -> mat4x4<f32> {
  let half = add_4_steps(add_4_steps(product, 0u, t4, n4), 4u, t4, n4);
  return add_4_steps(add_4_steps(half, 8u, t4, n4), 12u, t4, n4);
}

// What step t's sum over p is multiplied by; decay0 is where the head's decays of the chunk begin.
fn factor(of_B: bool, decay0: u32, t: u32, steps: u32) -> f32 {
  let step = decays[decay0 + min(t, steps - 1u)];
  if (of_B) {
    let last = decays[decay0 + steps - 1u];
    return step.x * exp((last.y - step.y) + (last.z - step.z));
  }
  return step.w;
}

fn read1(i: u32, is_inside: bool) -> f32 {
  if (is_inside) {
    return xBC[i];
  }
  return 0.0;
}

// Four states of a step from n on.
fn read4(i: u32, is_inside: bool, n: u32) -> vec4<f32> {
  let end = select(0u, D_STATE, is_inside);
  return vec4<f32>(read1(i, n < end), read1(i + 1u, n + 1u < end), read1(i + 2u, n + 2u < end),
                   read1(i + 3u, n + 3u < end));
}

fn write1(i: u32, is_inside: bool, value: f32) {
  if (is_inside) {
    grad_xBC[i] = value;
  }
}

fn write4(i: u32, is_inside: bool, n: u32, values: vec4<f32>) {
  let end = select(0u, D_STATE, is_inside);
  write1(i, n < end, values.x);
  write1(i + 1u, n + 1u < end, values.y);
  write1(i + 2u, n + 2u < end, values.z);
  write1(i + 3u, n + 3u < end, values.w);
}

@compute @workgroup_size(LANES)
fn ssd_bc_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  let n_tiles = (D_STATE + TILE - 1u) / TILE;
  let n0 = wid.x % n_tiles * TILE;
  let of_B = wid.x / n_tiles % 2u == 0u;
  let g = wid.x / n_tiles / 2u;
  let chunk = wid.y;
  let b = wid.z;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let t4 = lane / 16u;
  let n4 = lane % 16u;
  let t = t4 * 4u;
  let n = n0 + n4 * 4u;
  let B_column = D_INNER + g * D_STATE;
  let C_column = B_column + NGROUPS * D_STATE;
  let own = (row0 + t) * CONV_DIM + select(C_column, B_column, of_B) + n;
  let other_column = select(B_column, C_column, of_B) + n0;
  var total: mat4x4<f32>;

  // grad_CB[t, s] with t along the tile for C, and s along the tile for B.
  let CB0 = ((b * count.y + chunk) * NGROUPS + g) * CHUNK;
  for (var k0 = 0u; k0 < steps; k0 += DEPTH) {
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
      // Lanes side by side read side by side: along s.
      let k = select(i % DEPTH, i / TILE, of_B);
      let m = select(i / DEPTH, i % TILE, of_B);
      let to = select(m, k0 + k, of_B);
      let s = select(k0 + k, m, of_B);
      var value = 0.0;
      if (s <= to && to < steps) {
        value = grad_CB[(CB0 + to) * CHUNK + s];
      }
      t_tile[k * STRIDE + m / 4u][m % 4u] = value;
      let column = i % TILE;
      var other = 0.0;
      if (k0 + i / TILE < steps && n0 + column < D_STATE) {
        other = xBC[(row0 + k0 + i / TILE) * CONV_DIM + other_column + column];
      }
      n_tile[i / TILE * STRIDE + column / 4u][column % 4u] = other;
    }
    workgroupBarrier();
    total = add_slice(total, t4, n4);
    workgroupBarrier();
  }

  let heads = NHEADS / NGROUPS;
  let plane = params.start + wid.x % (2u * n_tiles) * params.plane;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    // Written out: naga zeroes a variable without a value only once, not in each round of the loop.
    var product = mat4x4<f32>();
    for (var p0 = 0u; p0 < HEADDIM; p0 += DEPTH) {
      for (var i = lane; i < TILE * DEPTH; i += LANES) {
        let m = i / DEPTH;
        let d = h * HEADDIM + p0 + i % DEPTH;
        var value = 0.0;
        if (p0 + i % DEPTH < HEADDIM && m < steps) {
          if (of_B) {
            value = xBC[(row0 + m) * CONV_DIM + d];
          } else {
            value = grad_y[(row0 + m) * D_INNER + d];
          }
        }
        t_tile[i % DEPTH * STRIDE + m / 4u][m % 4u] = value;
        let channel = h * HEADDIM + p0 + i / TILE;
        let column = i % TILE;
        var state = 0.0;
        if (p0 + i / TILE < HEADDIM && n0 + column < D_STATE) {
          if (of_B) {
            state = grad_states[((b * count.y + chunk) * D_INNER + channel) * D_STATE + n0 + column];
          } else {
            state = ssm_state[((b * (count.y + 1u) + chunk) * D_INNER + channel) * D_STATE + n0 + column];
          }
        }
        n_tile[i / TILE * STRIDE + column / 4u][column % 4u] = state;
      }
      workgroupBarrier();
      product = add_slice(product, t4, n4);
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
      dot(product[0], read4(own, t < steps, n)),
      dot(product[1], read4(own + CONV_DIM, t + 1u < steps, n)),
      dot(product[2], read4(own + 2u * CONV_DIM, t + 2u < steps, n)),
      dot(product[3], read4(own + 3u * CONV_DIM, t + 3u < steps, n)));
    workgroupBarrier();
    if (lane < steps) {
      var sum = 0.0;
      for (var i = 0u; i < 16u; i++) {
        sum += parts[lane / 4u * 16u + i][lane % 4u];
      }
      sums[plane + decay0 + lane] = sum;
    }
  }
  write4(own, t < steps, n, total[0]);
  write4(own + CONV_DIM, t + 1u < steps, n, total[1]);
  write4(own + 2u * CONV_DIM, t + 2u < steps, n, total[2]);
  write4(own + 3u * CONV_DIM, t + 3u < steps, n, total[3]);
}
