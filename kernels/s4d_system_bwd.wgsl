// s4d_system_bwd: gradients of S4D's A and log_step, from those of a and b (see s4d_system).
//   grad_w = conj(a) grad_a + conj(a / A) grad_b      grad_A = exp(log_step) grad_w - conj(b / A) grad_b
//   grad_log_step = sum_n Re(conj(w) grad_w)          A_re above its limit has none
// Gradients of complex numbers are those of both parts. One lane per channel: pairs go one after the other.
override D_MODEL: u32;
override PAIRS: u32;

@group(0) @binding(0) var<storage, read> A_re: array<f32>;                // (PAIRS, D_MODEL)
@group(0) @binding(1) var<storage, read> A_im: array<f32>;                // (PAIRS, D_MODEL)
@group(0) @binding(2) var<storage, read> log_step: array<f32>;            // (D_MODEL)
@group(0) @binding(3) var<storage, read> grad_system: array<f32>;         // ([a, b], PAIRS, 2, D_MODEL)
@group(0) @binding(4) var<storage, read_write> grad_A_re: array<f32>;     // (PAIRS, D_MODEL)
@group(0) @binding(5) var<storage, read_write> grad_A_im: array<f32>;     // (PAIRS, D_MODEL)
@group(0) @binding(6) var<storage, read_write> grad_log_step: array<f32>; // (D_MODEL)

const LANES = 64u;

fn gradient(block: u32, n: u32, d: u32) -> vec2<f32> {
  let row = (block * PAIRS + n) * 2u;
  return vec2<f32>(grad_system[row * D_MODEL + d], grad_system[(row + 1u) * D_MODEL + d]);
}

@compute @workgroup_size(LANES)
fn s4d_system_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let step = exp_of(log_step[d]);
  var grad_step = 0.0;
  for (var n = 0u; n < PAIRS; n++) {
    let i = n * D_MODEL + d;
    let A = vec2<f32>(min(A_re[i], -1e-4), A_im[i]);
    let e = complex_expm1(step * A);
    let a = vec2<f32>(1.0 + e.x, e.y);
    let grad_b = gradient(1u, n, d);
    let grad_w = conj_mul(a, gradient(0u, n, d)) + conj_mul(complex_div(a, A), grad_b);
    let grad_A = step * grad_w - conj_mul(complex_div(complex_div(e, A), A), grad_b);
    grad_A_re[i] = select(0.0, grad_A.x, A_re[i] <= -1e-4);
    grad_A_im[i] = grad_A.y;
    grad_step += step * dot(A, grad_w);
  }
  grad_log_step[d] = grad_step;
}
