// s4_system_bwd: gradients of S4's Lambda, P, B and log_step, from those of a step's a, b, p and q (see s4_system).
// The step has all that is needed: G = (1 + a) / (2 z), P = p / G, P* b = beta = (P* 2 G B) / m with m = 1 + kappa, and
// 2 G B = b + p beta. With f = 2 z / m and w the gradient of each by its name, those of a channel's sums are
//   w_beta = -sum dot(p, w_b)      w_f = sum dot(w_q, conj(P) G)      w_m = -(w_beta beta + w_f f) / m
// Gradients of complex numbers are those of both parts. One lane per channel: pairs go one after the other.
override D_MODEL: u32;
override PAIRS: u32;

@group(0) @binding(0) var<storage, read> system: array<f32>;               // ([a, b, p, q], PAIRS, 2, D_MODEL), step
@group(0) @binding(1) var<storage, read> Lambda_re: array<f32>;            // (PAIRS, D_MODEL)
@group(0) @binding(2) var<storage, read> grad_system: array<f32>;          // ([a, b, p, q], PAIRS, 2, D_MODEL)
@group(0) @binding(3) var<storage, read_write> grad_Lambda_re: array<f32>; // (PAIRS, D_MODEL)
@group(0) @binding(4) var<storage, read_write> grad_Lambda_im: array<f32>; // (PAIRS, D_MODEL)
@group(0) @binding(5) var<storage, read_write> grad_P: array<f32>;         // (PAIRS, 2, D_MODEL)
@group(0) @binding(6) var<storage, read_write> grad_B: array<f32>;         // (PAIRS, 2, D_MODEL)
@group(0) @binding(7) var<storage, read_write> grad_log_step: array<f32>;  // (D_MODEL)

const LANES = 64u;

fn gradient(block: u32, n: u32, d: u32) -> vec2<f32> {
  let row = (block * PAIRS + n) * 2u;
  return vec2<f32>(grad_system[row * D_MODEL + d], grad_system[(row + 1u) * D_MODEL + d]);
}

fn G_at(n: u32, d: u32, z: f32) -> vec2<f32> {
  return (vec2<f32>(1.0, 0.0) + system_at(0u, n, d)) / (2.0 * z);
}

fn store_P(n: u32, d: u32, value: vec2<f32>) {
  grad_P[2u * n * D_MODEL + d] = value.x;
  grad_P[(2u * n + 1u) * D_MODEL + d] = value.y;
}

fn store_B(n: u32, d: u32, value: vec2<f32>) {
  grad_B[2u * n * D_MODEL + d] = value.x;
  grad_B[(2u * n + 1u) * D_MODEL + d] = value.y;
}

@compute @workgroup_size(LANES)
fn s4_system_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let z = 2.0 / system[8u * PAIRS * D_MODEL + d];
  var m = 1.0;
  var beta = 0.0;
  var w_beta = 0.0;
  var w_f = 0.0;
  for (var n = 0u; n < PAIRS; n++) {
    let G = G_at(n, d, z);
    let p = system_at(2u, n, d);
    let P = complex_div(p, G);
    m += 2.0 * dot(P, p);
    beta += 2.0 * dot(P, system_at(1u, n, d));
    w_beta -= dot(p, gradient(1u, n, d));
    w_f += dot(output_row(gradient(3u, n, d)), conj_mul(P, G));
  }
  let f = 2.0 * z / m;
  let w_m = -(w_beta * beta + w_f * f) / m;
  var w_z = 2.0 * w_f / m;
  for (var n = 0u; n < PAIRS; n++) {
    let G = G_at(n, d, z);
    let p = system_at(2u, n, d);
    let P = complex_div(p, G);
    let GB2 = system_at(1u, n, d) + beta * p;
    let w_a = gradient(0u, n, d);
    let w_q = output_row(gradient(3u, n, d));
    let w_GB2 = gradient(1u, n, d) + 2.0 * w_beta / m * P;
    let w_p = gradient(2u, n, d) - beta * gradient(1u, n, d) + 2.0 * w_m * P;
    let q_over_P = f * complex_mul(G, vec2<f32>(w_q.x, -w_q.y));
    store_P(n, d, 2.0 * w_beta / m * GB2 + q_over_P + 2.0 * w_m * p + conj_mul(G, w_p));
    store_B(n, d, 2.0 * conj_mul(G, w_GB2));
    let w_G = f * complex_mul(P, w_q) + conj_mul(P, w_p) + conj_mul(complex_div(GB2, G), w_GB2);
    let G2 = complex_mul(G, G);
    let others = conj_mul(G2, w_G);
    let w_Lambda = others + 2.0 * z * conj_mul(G2, w_a);
    grad_Lambda_re[n * D_MODEL + d] = select(0.0, w_Lambda.x, Lambda_re[n * D_MODEL + d] <= -1e-4);
    grad_Lambda_im[n * D_MODEL + d] = w_Lambda.y;
    // Of a by way of z: what G gives of it and 2 z are nearly the same, and their difference is this.
    w_z -= others.x + dot(w_a, complex_mul(system_at(0u, n, d) - vec2<f32>(1.0, 0.0), G));
  }
  grad_log_step[d] = -z * w_z;
}
