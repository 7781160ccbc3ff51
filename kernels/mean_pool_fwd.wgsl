// mean_pool_fwd: running mean over time, from any earlier mean.
//   n = n + 1      mean = mean + (x[b, t] - mean) / n      y[b, t] = mean
// The mean stays as large as its inputs and needs no history, so a stream may go on for ever: from 2^24 steps on, where
// the f32 count stops, it turns into an exponential average of that length. One lane per (b, d), time is serial.
override D_MODEL: u32;

struct Params {
  batch: u32,
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;                // (batch, seqlen, D_MODEL)
@group(0) @binding(1) var<storage, read_write> pool_state: array<f32>; // (batch, 2, D_MODEL): means, then counts
@group(0) @binding(2) var<storage, read_write> y: array<f32>;          // (batch, seqlen, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn mean_pool_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * 64u + lane;
  let b = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  // Each channel counts for itself: one shared count would be written by one workgroup while others still read it.
  var mean = pool_state[b * 2u * D_MODEL + d];
  var n = pool_state[b * 2u * D_MODEL + D_MODEL + d];
  for (var t = 0u; t < params.seqlen; t++) {
    let element = (b * params.seqlen + t) * D_MODEL + d;
    n += 1.0;
    mean += (x[element] - mean) / n;
    y[element] = mean;
  }
  pool_state[b * 2u * D_MODEL + d] = mean;
  pool_state[b * 2u * D_MODEL + D_MODEL + d] = n;
}
