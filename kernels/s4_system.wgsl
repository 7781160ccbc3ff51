// s4_system: S4's recurrence of one step (Gu, Goel & Re 2022, Efficiently Modeling Long Sequences with Structured State
// Spaces), by the bilinear transform of A = diag(Lambda) - P P*, with z = 2 / exp(log_step):
//   x[t] = (z - A)^-1 ((z + A) x[t-1] + 2 B u[t])
// The inverse of a diagonal and a term of rank one is such a sum itself (Woodbury), and so is all of it: with
// G = 1 / (z - Lambda), kappa = P* G P and x standing for its conjugate, too,
//   x[t] = a x[t-1] - p (q x[t-1]) + b u[t]
//   a = 1 + 2 Lambda G      p = G P      q = 2 z conj(P) G / (1 + kappa)      b = 2 G B - p (P* 2 G B) / (1 + kappa)
// so that a step takes a sum over all pairs and a few products of each. Sums over the conjugates, too, are twice the
// real part, which q is stored as, both parts' products to be added up. The last row of system is exp(log_step).
// One lane per channel: pairs go one after the other.
override D_MODEL: u32;
override PAIRS: u32;

@group(0) @binding(0) var<storage, read> Lambda_re: array<f32>;    // (PAIRS, D_MODEL)
@group(0) @binding(1) var<storage, read> Lambda_im: array<f32>;    // (PAIRS, D_MODEL)
@group(0) @binding(2) var<storage, read> P: array<f32>;            // (PAIRS, 2, D_MODEL)
@group(0) @binding(3) var<storage, read> B: array<f32>;            // (PAIRS, 2, D_MODEL)
@group(0) @binding(4) var<storage, read> log_step: array<f32>;     // (D_MODEL)
@group(0) @binding(5) var<storage, read_write> system: array<f32>; // ([a, b, p, q], PAIRS, 2, D_MODEL) and the step

const LANES = 64u;

fn Lambda_at(n: u32, d: u32) -> vec2<f32> {
  return vec2<f32>(min(Lambda_re[n * D_MODEL + d], -1e-4), Lambda_im[n * D_MODEL + d]);
}

fn P_at(n: u32, d: u32) -> vec2<f32> {
  return vec2<f32>(P[2u * n * D_MODEL + d], P[(2u * n + 1u) * D_MODEL + d]);
}

fn B_at(n: u32, d: u32) -> vec2<f32> {
  return vec2<f32>(B[2u * n * D_MODEL + d], B[(2u * n + 1u) * D_MODEL + d]);
}

fn store(block: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = (block * PAIRS + n) * 2u;
  system[row * D_MODEL + d] = value.x;
  system[(row + 1u) * D_MODEL + d] = value.y;
}

@compute @workgroup_size(LANES)
fn s4_system(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  if (d >= D_MODEL) {
    return;
  }
  let step = exp_of(log_step[d]);
  let z = 2.0 / step;
  var kappa = 0.0;
  var coupled = 0.0;
  for (var n = 0u; n < PAIRS; n++) {
    let G = complex_div(vec2<f32>(1.0, 0.0), vec2<f32>(z, 0.0) - Lambda_at(n, d));
    kappa += 2.0 * dot(P_at(n, d), complex_mul(G, P_at(n, d)));
    coupled += 4.0 * dot(P_at(n, d), complex_mul(G, B_at(n, d)));
  }
  for (var n = 0u; n < PAIRS; n++) {
    let G = complex_div(vec2<f32>(1.0, 0.0), vec2<f32>(z, 0.0) - Lambda_at(n, d));
    let p = complex_mul(G, P_at(n, d));
    store(0u, n, d, vec2<f32>(1.0, 0.0) + 2.0 * complex_mul(Lambda_at(n, d), G));
    store(1u, n, d, 2.0 * complex_mul(G, B_at(n, d)) - coupled / (1.0 + kappa) * p);
    store(2u, n, d, p);
    store(3u, n, d, output_row(2.0 * z / (1.0 + kappa) * conj_mul(P_at(n, d), G)));
  }
  system[8u * PAIRS * D_MODEL + d] = step;
}
