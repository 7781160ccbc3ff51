// mamba3_decays_bwd: the gradients of a chunk's rates, from the sums that Mamba-2's kernels leave for ssd_dt_bwd:
//   grad_dtA[t] = what passes step t: see there, for the first of the RANK steps that it counts for
//   grad_scale[t] = sum over p of x q, over all of them, of the scale gamma[t] + delta[t+1]; with mamba3_skip_bwd's
//   grad_gamma[t] = grad_scale[t] + skips[t].y     grad_delta[t+1] = grad_scale[t] + skips[t].x
// A lane per chunk and head goes forth and back. mamba3_carry_bwd writes grad_delta[0].
override NHEADS: u32;
override RANK: u32;
override CHUNK: u32;   // a multiple of RANK
override P_TILES: u32; // of which ssd_x_bwd left sums
override N_TILES: u32; // of which ssd_bc_bwd left sums

struct Params {
  seqlen: u32, // steps, before they are counted RANK times
  plane: u32,  // batch NHEADS seqlen RANK
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;             // see ssd_dt_bwd
@group(0) @binding(1) var<storage, read> decays: array<vec4<f32>>;     // (batch, NHEADS, seqlen RANK)
@group(0) @binding(2) var<storage, read> skips: array<vec2<f32>>;      // (batch, NHEADS, seqlen)
@group(0) @binding(3) var<storage, read_write> grad_rates: array<f32>; // (batch, NHEADS, seqlen, 4): see mamba3_rates
@group(0) @binding(4) var<uniform> params: Params;

const LANES = 64u;

fn sum_of_planes(first: u32, count: u32, element: u32) -> f32 {
  var sum = 0.0;
  for (var i = first; i < first + count; i++) {
    sum += sums[i * params.plane + element];
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn mamba3_decays_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                     @builtin(local_invocation_index) lane: u32) {
  let h = wid.x * LANES + lane;
  if (h >= NHEADS) {
    return;
  }
  let head = (wid.z * NHEADS + h) * params.seqlen;
  let t0 = wid.y * (CHUNK / RANK);
  let end = min(t0 + CHUNK / RANK, params.seqlen);
  let part = (wid.z * count.y + wid.y) * NHEADS + h;
  let last = decays[(head + end) * RANK - 1u].w;
  var passing = last * sums[(P_TILES + 1u + 2u * N_TILES) * params.plane + part];
  for (var t = t0; t < end; t++) {
    let skip = skips[head + t];
    let at = (head + t) * 4u;
    grad_rates[at] = 0.0;
    grad_rates[at + 1u] = passing + sum_of_planes(P_TILES, 1u, (head + t) * RANK);
    var grad_scale = 0.0;
    for (var r = 0u; r < RANK; r++) {
      let element = (head + t) * RANK + r;
      grad_scale += sum_of_planes(0u, P_TILES, element);
      passing += sum_of_planes(P_TILES + 1u, N_TILES, element);
    }
    grad_rates[at + 2u] = grad_scale + skip.y;
    if (t + 1u < params.seqlen) {
      grad_rates[at + 7u] = grad_scale + skip.x;
    }
  }
  passing = 0.0;
  for (var after = end; after > t0; after--) {
    for (var r = 0u; r < RANK; r++) {
      passing += sum_of_planes(P_TILES + 1u + N_TILES, N_TILES, (head + after - 1u) * RANK + r);
    }
    grad_rates[(head + after - 1u) * 4u + 1u] += passing;
  }
}
