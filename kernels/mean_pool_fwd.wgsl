// mean_pool_fwd: running mean over time, from any earlier mean.
//   n = n + 1      mean = mean + (x[b, t] - mean) / n      y[b, t] = mean
// The mean stays as large as its inputs and needs no history, so a stream may go on for ever: from 2^24 steps on, where
// the f32 count stops, it turns into an exponential average of that length. One lane per (b, d); time is serial, eight
// steps at a time, written out, whose inputs are read while the eight before them are added.
override D_MODEL: u32;

struct Params {
  batch: u32,
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;                // (batch, seqlen, D_MODEL)
@group(0) @binding(1) var<storage, read_write> pool_state: array<f32>; // (batch, 2, D_MODEL): means, then counts
@group(0) @binding(2) var<storage, read_write> y: array<f32>;          // (batch, seqlen, D_MODEL)
@group(0) @binding(3) var<uniform> params: Params;

// What a lane knows after some steps.
struct Mean {
  value: f32,
  n: f32,
}

// Four steps of one channel; any values past the last step.
fn four_at(b: u32, t: u32, d: u32) -> vec4<f32> {
  let rows = b * params.seqlen + min(vec4<u32>(t, t + 1u, t + 2u, t + 3u), vec4<u32>(params.seqlen - 1u));
  let i = rows * D_MODEL + d;
  return vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]);
}

fn add(mean: Mean, b: u32, t: u32, d: u32, value: f32) -> Mean {
  if (t >= params.seqlen) {
    return mean;
  }
  let n = mean.n + 1.0;
  let next = mean.value + (value - mean.value) / n;
  y[(b * params.seqlen + t) * D_MODEL + d] = next;
  return Mean(next, n);
}

fn add_four(mean: Mean, b: u32, t: u32, d: u32, values: vec4<f32>) -> Mean {
  let two = add(add(mean, b, t, d, values.x), b, t + 1u, d, values.y);
  return add(add(two, b, t + 2u, d, values.z), b, t + 3u, d, values.w);
}

@compute @workgroup_size(64)
fn mean_pool_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let d = wid.x * 64u + lane;
  let b = wid.y;
  if (d >= D_MODEL) {
    return;
  }
  // Each channel counts for itself: one shared count would be written by one workgroup while others still read it.
  let means = b * 2u * D_MODEL + d;
  var mean = Mean(pool_state[means], pool_state[means + D_MODEL]);
  var early = four_at(b, 0u, d);
  var late = four_at(b, 4u, d);
  for (var t = 0u; t < params.seqlen; t += 8u) {
    let first = early;
    let second = late;
    early = four_at(b, t + 8u, d);
    late = four_at(b, t + 12u, d);
    mean = add_four(add_four(mean, b, t, d, first), b, t + 4u, d, second);
  }
  pool_state[means] = mean.value;
  pool_state[means + D_MODEL] = mean.n;
}
