// s4_power_bwd: adds the gradient of Abar = diag(a) - p q^T (see s4_power) to those of a, p and q.
//   grad_a = (g[0, 0] + g[1, 1], g[1, 0] - g[0, 1]) of each pair's own block
//   grad_p[i] -= sum_k g[i, k] q[k]      grad_q[k] -= sum_i g[i, k] p[i]
// One lane per channel and pair.
override D_MODEL: u32;
override PAIRS: u32;

@group(0) @binding(0) var<storage, read> system: array<f32>;            // ([a, b, p, q], PAIRS, 2, D_MODEL), step
@group(0) @binding(1) var<storage, read> grad_Abar: array<f32>;         // (2 PAIRS, 2 PAIRS, D_MODEL)
@group(0) @binding(2) var<storage, read_write> grad_system: array<f32>; // ([a, b, p, q], PAIRS, 2, D_MODEL)

const LANES = 64u;

fn g(i: u32, k: u32, d: u32) -> f32 {
  return grad_Abar[(i * 2u * PAIRS + k) * D_MODEL + d];
}

// Row j of both parts of a block.
fn row_at(block: u32, j: u32, d: u32) -> f32 {
  return system[(block * 2u * PAIRS + j) * D_MODEL + d];
}

fn add(block: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = (block * PAIRS + n) * 2u;
  grad_system[row * D_MODEL + d] += value.x;
  grad_system[(row + 1u) * D_MODEL + d] += value.y;
}

@compute @workgroup_size(LANES)
fn s4_power_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  let n = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  let re = 2u * n;
  let im = re + 1u;
  var grad_p = vec2<f32>(0.0);
  var grad_q = vec2<f32>(0.0);
  for (var j = 0u; j < 2u * PAIRS; j++) {
    grad_p -= row_at(3u, j, d) * vec2<f32>(g(re, j, d), g(im, j, d));
    grad_q -= row_at(2u, j, d) * vec2<f32>(g(j, re, d), g(j, im, d));
  }
  add(0u, n, d, vec2<f32>(g(re, re, d) + g(im, im, d), g(im, re, d) - g(re, im, d)));
  add(2u, n, d, grad_p);
  add(3u, n, d, grad_q);
}
