// s4_power: a power of S4's matrix of one step, E = Abar^steps with Abar = diag(a) - p q^T (see s4_system).
// Column k is what `steps` steps without input make of the k-th unit state, each two numbers of every pair: no step
// takes more than a sum and a few products, where a product of matrices would take PAIRS times as much.
// One lane per channel and column, whose state stands where the result will.
override D_MODEL: u32;
override PAIRS: u32;

struct Params {
  steps: u32,
}

@group(0) @binding(0) var<storage, read> system: array<f32>;  // ([a, b, p, q], PAIRS, 2, D_MODEL) and the step
@group(0) @binding(1) var<storage, read_write> E: array<f32>; // (2 PAIRS, 2 PAIRS, D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 64u;

// Element i of column k.
fn E_at(i: u32, k: u32, d: u32) -> u32 {
  return (i * 2u * PAIRS + k) * D_MODEL + d;
}

@compute @workgroup_size(LANES)
fn s4_power(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * LANES + lane;
  let k = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  for (var i = 0u; i < 2u * PAIRS; i++) {
    E[E_at(i, k, d)] = select(0.0, 1.0, i == k);
  }
  for (var t = 0u; t < params.steps; t++) {
    var coupled = 0.0;
    for (var n = 0u; n < PAIRS; n++) {
      coupled += dot(system_at(3u, n, d), vec2<f32>(E[E_at(2u * n, k, d)], E[E_at(2u * n + 1u, k, d)]));
    }
    for (var n = 0u; n < PAIRS; n++) {
      let x = vec2<f32>(E[E_at(2u * n, k, d)], E[E_at(2u * n + 1u, k, d)]);
      let next = complex_mul(system_at(0u, n, d), x) - coupled * system_at(2u, n, d);
      E[E_at(2u * n, k, d)] = next.x;
      E[E_at(2u * n + 1u, k, d)] = next.y;
    }
  }
}
