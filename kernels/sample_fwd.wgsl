// sample_fwd: draws the next token of each batch entry from its logits, and notes its log-probability.
//   Order as in transformers: repetition penalty, temperature, top-k, top-p, min-p. temperature 0 takes the largest.
//   The log-probability is of the model's own distribution, before any of these. Padding rows take no part.
// One workgroup a batch entry. Nothing is sorted: a cut is a threshold on the logits' bits, found by four histograms of
// eight bits each. Probabilities are integers of 2^-31, so their sums are exact in any order: on one device a token
// depends on the logits, the seed and the number of draws alone. Ties at a threshold are all kept.
// A row without one finite logit gives the id NO_TOKEN.
override VOCAB_SIZE: u32;
override REAL_VOCAB_SIZE: u32;
override SEEN_WORDS: u32;
override RING: u32;
override LANES: u32;       // a power of two, at least 256

@group(0) @binding(0) var<storage, read> settings: array<u32>;          // see ops/sample.ts: SETTINGS
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;      // (batch, VOCAB_SIZE), only read
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;        // (batch, SEEN_WORDS) bits, only read
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;      // (batch): the token drawn
@group(0) @binding(4) var<storage, read_write> draws: array<u32>;       // (batch): how many were drawn before
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;        // (batch, RING, 2): id, bits of logprob

const NO_TOKEN = 0xffffffffu;
const LOWEST = -3.4e38;
const UNIT = 2147483648.0; // 2^31: all probabilities together

var<workgroup> maxima: array<f32, LANES>;
var<workgroup> sums: array<f32, LANES>;
var<workgroup> best: array<f32, LANES>;
var<workgroup> best_ids: array<u32, LANES>;
var<workgroup> best_sums: array<f32, LANES>;
var<workgroup> counts: array<u32, LANES>;
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> suffix: array<u32, 257>;
var<workgroup> chosen_bin: u32;
var<workgroup> passed: u32;

fn temperature() -> f32 { return bitcast<f32>(settings[0]); }
fn top_k() -> u32 { return settings[1]; }
fn top_p() -> f32 { return bitcast<f32>(settings[2]); }
fn min_p() -> f32 { return bitcast<f32>(settings[3]); }
fn repetition_penalty() -> f32 { return bitcast<f32>(settings[4]); }

// High word of the 64-bit product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

// The logit that is drawn from: after repetition penalty and temperature.
fn adjusted(b: u32, id: u32) -> f32 {
  return adjust(b, id, logits[b * VOCAB_SIZE + id]);
}

fn adjust(b: u32, id: u32, logit: f32) -> f32 {
  var value = logit;
  if (repetition_penalty() != 1.0 && ((seen[b * SEEN_WORDS + id / 32u] >> (id % 32u)) & 1u) == 1u) {
    value = select(value * repetition_penalty(), value / repetition_penalty(), value > 0.0);
  }
  return select(value / temperature(), value, temperature() == 0.0);
}

// Bits that compare as unsigned numbers the way the floats do.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}

// Probability in units of 2^-31, given the largest adjusted logit and the sum of exponentials.
fn mass(value: f32) -> u32 {
  return u32(exp(value - best[0]) / best_sums[0] * UNIT);
}

// Largest key such that the ids at or above it (and at or above lowest_key) number, or weigh, at least wanted.
fn threshold_key(b: u32, lane: u32, lowest_key: u32, wanted: u32, weighted: bool) -> u32 {
  var prefix = 0u;
  var missing = wanted;
  for (var level = 0u; level < 4u; level++) {
    let shift = 24u - 8u * level;
    if (lane < 256u) {
      atomicStore(&bins[lane], 0u);
    }
    workgroupBarrier();
    for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
      let value = adjusted(b, id);
      let key = order_key(value);
      if (key >= lowest_key && (level == 0u || key >> (shift + 8u) == prefix >> (shift + 8u))) {
        atomicAdd(&bins[(key >> shift) & 255u], select(1u, mass(value), weighted));
      }
    }
    workgroupBarrier();
    // suffix[i]: how much lies in bins i and above.
    if (lane < 256u) {
      suffix[lane] = atomicLoad(&bins[lane]);
    }
    if (lane == 0u) {
      suffix[256] = 0u;
      chosen_bin = 0u;
      passed = 0u;
    }
    workgroupBarrier();
    for (var step = 1u; step < 256u; step *= 2u) {
      var sum = 0u;
      if (lane < 256u) {
        sum = suffix[lane];
        if (lane + step < 256u) {
          sum += suffix[lane + step];
        }
      }
      workgroupBarrier();
      if (lane < 256u) {
        suffix[lane] = sum;
      }
      workgroupBarrier();
    }
    if (lane < 256u && suffix[lane] >= missing && suffix[lane + 1u] < missing) {
      chosen_bin = lane;
      passed = suffix[lane + 1u];
    }
    workgroupBarrier();
    prefix |= chosen_bin << shift;
    missing -= passed;
    workgroupBarrier();
  }
  return prefix;
}

// Inclusive prefix sums of counts over all lanes, in place.
fn scan_counts(lane: u32) {
  for (var step = 1u; step < LANES; step *= 2u) {
    workgroupBarrier();
    var sum = counts[lane];
    if (lane >= step) {
      sum += counts[lane - step];
    }
    workgroupBarrier();
    counts[lane] = sum;
  }
  workgroupBarrier();
}

fn logit_or_lowest(b: u32, id: u32) -> f32 {
  if (id < REAL_VOCAB_SIZE) {
    return logits[b * VOCAB_SIZE + id];
  }
  return LOWEST;
}

fn largest(values: vec4<f32>) -> f32 {
  return max(max(values.x, values.y), max(values.z, values.w));
}

// Largest logit and sum of exponentials of the raw and of the adjusted logits, and the adjusted ones' first maximum.
// Four ids at a time: their loads overlap, and the running sums are rescaled once for all four.
fn summarise(b: u32, lane: u32) {
  var raw_max = LOWEST;
  var raw_sum = 0.0;
  var top = LOWEST;
  var top_sum = 0.0;
  var top_id = NO_TOKEN;
  for (var first = lane; first < REAL_VOCAB_SIZE; first += 4u * LANES) {
    let ids = first + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES);
    let raw = vec4<f32>(
      logit_or_lowest(b, ids.x), logit_or_lowest(b, ids.y), logit_or_lowest(b, ids.z), logit_or_lowest(b, ids.w));
    let larger_raw = max(raw_max, largest(raw));
    raw_sum = raw_sum * exp(raw_max - larger_raw) + dot(exp(raw - larger_raw), vec4<f32>(1.0));
    raw_max = larger_raw;
    let value = vec4<f32>(
      adjust(b, ids.x, raw.x), adjust(b, ids.y, raw.y), adjust(b, ids.z, raw.z), adjust(b, ids.w, raw.w));
    let larger = largest(value);
    if (larger > top) {
      top_sum *= exp(top - larger);
      top = larger;
      top_id = select(ids.w, select(ids.z, select(ids.y, ids.x, value.x == larger), max(value.x, value.y) == larger),
                      max(max(value.x, value.y), value.z) == larger);
    }
    top_sum += dot(exp(value - top), vec4<f32>(1.0));
  }
  maxima[lane] = raw_max;
  sums[lane] = raw_sum;
  best[lane] = top;
  best_sums[lane] = top_sum;
  best_ids[lane] = top_id;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let raw = max(maxima[lane], maxima[lane + half]);
      sums[lane] = sums[lane] * exp(maxima[lane] - raw) + sums[lane + half] * exp(maxima[lane + half] - raw);
      maxima[lane] = raw;
      let other = best[lane + half];
      let larger = max(best[lane], other);
      best_sums[lane] = best_sums[lane] * exp(best[lane] - larger) + best_sums[lane + half] * exp(other - larger);
      if (other > best[lane] || (other == best[lane] && best_ids[lane + half] < best_ids[lane])) {
        best_ids[lane] = best_ids[lane + half];
      }
      best[lane] = larger;
    }
  }
  workgroupBarrier();
}

// The id at a random place in the masses of all ids whose key reaches the threshold, counted in order of id.
fn draw(b: u32, lane: u32, lowest_key: u32) {
  let share = (REAL_VOCAB_SIZE + LANES - 1u) / LANES;
  let end = min(REAL_VOCAB_SIZE, (lane + 1u) * share);
  var own = 0u;
  for (var id = lane * share; id < end; id++) {
    let value = adjusted(b, id);
    own += select(0u, mass(value), order_key(value) >= lowest_key);
  }
  counts[lane] = own;
  scan_counts(lane);
  let random = threefry(vec2<u32>(settings[5], settings[6]), vec2<u32>(draws[b], b)).x;
  let place = multiply_high(random, counts[LANES - 1u]);
  var below = counts[lane] - own;
  if (place >= below && place < counts[lane]) {
    for (var id = lane * share; id < end; id++) {
      let value = adjusted(b, id);
      let weight = select(0u, mass(value), order_key(value) >= lowest_key);
      if (place >= below && place < below + weight) {
        best_ids[0] = id;
      }
      below += weight;
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn sample_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = wid.x;
  summarise(b, lane);
  if (temperature() != 0.0) {
    var lowest_key = 0u;
    if (top_k() != 0u && top_k() < REAL_VOCAB_SIZE) {
      lowest_key = threshold_key(b, lane, 0u, top_k(), false);
    }
    if (top_p() < 1.0) {
      var own = 0u;
      for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
        let value = adjusted(b, id);
        own += select(0u, mass(value), order_key(value) >= lowest_key);
      }
      counts[lane] = own;
      scan_counts(lane);
      let wanted = max(1u, u32(ceil(top_p() * f32(counts[LANES - 1u]))));
      workgroupBarrier();
      lowest_key = max(lowest_key, threshold_key(b, lane, lowest_key, wanted, true));
    }
    if (min_p() > 0.0) {
      lowest_key = max(lowest_key, order_key(best[0] + log(min_p())));
    }
    draw(b, lane, lowest_key);
  }
  if (lane == 0u) {
    let id = best_ids[0];
    let slot = (b * RING + draws[b] % RING) * 2u;
    ring[slot] = id;
    if (id != NO_TOKEN) {
      ring[slot + 1u] = bitcast<u32>(logits[b * VOCAB_SIZE + id] - maxima[0] - log(sums[0]));
      tokens[b] = id;
    }
    draws[b] += 1u;
  }
}
