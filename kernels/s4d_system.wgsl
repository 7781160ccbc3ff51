// s4d_system: S4D's recurrence of one step (Gu et al. 2022, On the Parameterization and Initialization of Diagonal
// State Space Models), by zero-order hold.
//   w = exp(log_step) A      a = exp(w)      b = (exp(w) - 1) / A      A = min(A_re, -1e-4) + i A_im
// With these x[t] = a x[t-1] + b u[t]. exp(w) - 1 is computed as such: as a difference it would lose what small
// steps are. One lane per channel and pair.
override D_MODEL: u32;
override PAIRS: u32;

@group(0) @binding(0) var<storage, read> A_re: array<f32>;         // (PAIRS, D_MODEL)
@group(0) @binding(1) var<storage, read> A_im: array<f32>;         // (PAIRS, D_MODEL)
@group(0) @binding(2) var<storage, read> log_step: array<f32>;     // (D_MODEL)
@group(0) @binding(3) var<storage, read_write> system: array<f32>; // ([a, b], PAIRS, 2, D_MODEL)

const LANES = 64u;

fn store(block: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = (block * PAIRS + n) * 2u;
  system[row * D_MODEL + d] = value.x;
  system[(row + 1u) * D_MODEL + d] = value.y;
}

@compute @workgroup_size(LANES)
fn s4d_system(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  let n = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  let A = vec2<f32>(min(A_re[n * D_MODEL + d], -1e-4), A_im[n * D_MODEL + d]);
  let e = complex_expm1(exp_of(log_step[d]) * A);
  store(0u, n, d, vec2<f32>(1.0 + e.x, e.y));
  store(1u, n, d, complex_div(e, A));
}
