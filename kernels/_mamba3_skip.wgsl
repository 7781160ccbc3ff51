// _mamba3_skip: what mamba3_skip and its backward share: where the products k . q within a step lie, and their factors.
// The kernel declares rates, params, NHEADS, RANK and CHUNK.

// What a head has of a step.
struct OwnStep {
  row: u32,      // of vkq and y, before it is counted RANK times
  step: u32,     // in rates
  products: u32, // in CB: those of rank r follow those of the rank before at stride CHUNK
  gamma: f32,
  delta: f32,    // of the next step, 0 after the last
}

fn own_step(b: u32, t: u32, h: u32) -> OwnStep {
  var own: OwnStep;
  own.row = b * params.seqlen + t;
  own.step = (b * NHEADS + h) * params.seqlen + t;
  let chunks = (params.seqlen * RANK + CHUNK - 1u) / CHUNK;
  let first = t * RANK % CHUNK;
  own.products = (((b * chunks + t * RANK / CHUNK) * NHEADS + h) * CHUNK + first) * CHUNK + first;
  own.gamma = rates[own.step].z;
  if (t + 1u < params.seqlen) {
    own.delta = rates[own.step + 1u].w;
  }
  return own;
}

// c of what rank r sees of the rank `other`: see mamba3_skip.
fn skip_factor(own: OwnStep, r: u32, other: u32) -> f32 {
  return select(own.gamma, -own.delta, other <= r);
}
