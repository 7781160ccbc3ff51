// _states: a single step of Mamba-1's recurrence, with every sum in one order, whatever kernel it is in.
//   C . h   four sums by fma(), of which i takes fours of states i, i + 4, ...; then these in order
const STATE_SUMS = 4u;

fn next_states(h: vec4<f32>, A: vec4<f32>, B: vec4<f32>, dt: f32, dt_u: f32) -> vec4<f32> {
  return fma(exp(dt * A), h, dt_u * B);
}

// y from C . h
fn gated(sum: f32, D: f32, u: f32, z: f32) -> f32 {
  return fma(D, u, sum) * silu(z);
}
