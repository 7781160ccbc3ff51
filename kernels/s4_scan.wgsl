// s4_scan: the recurrence of S4D and S4 step by step, from any state (see s4_series).
//   x[t] = Abar x[t-1] + b u[t]      y[t] = 2 Re(C x[t]) + D u[t]      for t = first .. seqlen - 1
// Abar = diag(a), or diag(a) - p q^T if LOW_RANK: one sum over all pairs before a step, and one after it.
// Of slots of states the one of step t is t / chunk + 1, and of the step before the first slot t / chunk where a
// chunk begins: so the state before each chunk stays. With one slot alone all is there.
// A workgroup has 16 channels of a sequence, with 16 lanes each, which stride over the pairs.
override D_MODEL: u32;
override PAIRS: u32;
override LOW_RANK: bool;

struct Params {
  seqlen: u32,
  first: u32,
  chunk: u32,
  slots: u32,
}

@group(0) @binding(0) var<storage, read> system: array<f32>;       // ([a, b] or [a, b, p, q], PAIRS, 2, D_MODEL)
@group(0) @binding(1) var<storage, read> C: array<f32>;            // (PAIRS, 2, D_MODEL)
@group(0) @binding(2) var<storage, read> D: array<f32>;            // (D_MODEL)
@group(0) @binding(3) var<storage, read> u: array<f32>;            // (batch, seqlen, D_MODEL)
@group(0) @binding(4) var<storage, read_write> states: array<f32>; // (batch, slots, PAIRS, 2, D_MODEL)
@group(0) @binding(5) var<storage, read_write> y: array<f32>;      // (batch, seqlen, D_MODEL)
@group(0) @binding(6) var<uniform> params: Params;

const CHANNELS = 16u;
const LANES = 16u;

var<workgroup> sums: array<f32, CHANNELS * LANES>;

// Element of pair n in a slot of sequence b.
fn state_at(b: u32, slot: u32, n: u32, d: u32) -> u32 {
  return ((b * params.slots + min(slot, params.slots - 1u)) * PAIRS + n) * 2u * D_MODEL + d;
}

// The sum over a channel's lanes, for each of them.
fn sum_lanes(lid: vec3<u32>, value: f32) -> f32 {
  sums[lid.y * CHANNELS + lid.x] = value;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < LANES; i++) {
    sum += sums[i * CHANNELS + lid.x];
  }
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(CHANNELS, LANES)
fn s4_scan(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.x, D_MODEL - 1u);
  let writes = wid.x * CHANNELS + lid.x < D_MODEL;
  let b = wid.y;
  for (var t = params.first; t < params.seqlen; t++) {
    let to = t / params.chunk + 1u;
    let begins = t % params.chunk == 0u;
    let slot = select(to, to - 1u, begins);
    let row = (b * params.seqlen + t) * D_MODEL + d;
    var coupled = 0.0;
    if (LOW_RANK) {
      for (var n = lid.y; writes && n < PAIRS; n += LANES) {
        let at = state_at(b, slot, n, d);
        coupled += dot(system_at(3u, n, d), vec2<f32>(states[at], states[at + D_MODEL]));
      }
      coupled = sum_lanes(lid, coupled);
    }
    var own = 0.0;
    for (var n = lid.y; writes && n < PAIRS; n += LANES) {
      let old = state_at(b, slot, n, d);
      let before = vec2<f32>(states[old], states[old + D_MODEL]);
      var x = complex_mul(system_at(0u, n, d), before) + u[row] * system_at(1u, n, d);
      if (LOW_RANK) {
        x -= coupled * system_at(2u, n, d);
      }
      let at = state_at(b, to, n, d);
      states[at] = x.x;
      states[at + D_MODEL] = x.y;
      let C_n = vec2<f32>(C[2u * n * D_MODEL + d], C[(2u * n + 1u) * D_MODEL + d]);
      own += dot(output_row(C_n), x);
    }
    let sum = sum_lanes(lid, own);
    if (writes && lid.y == 0u) {
      y[row] = sum + D[d] * u[row];
    }
  }
}
