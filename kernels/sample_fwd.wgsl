// sample_fwd: draws the next token of each batch entry from its logits, and notes its log-probability.
//   Order as in transformers: repetition penalty, temperature, top-k, top-p, min-p. temperature 0 takes the largest.
//   The log-probability is of the model's own distribution, before any of these. Padding rows take no part.
// One workgroup a batch entry. A cut is a threshold on the logits' bits (see _threshold). Probabilities are integers of
// 2^-31, and exponentials are added up as integers (see _exponentials): exact in any order, so that on one device a
// token depends on the logits, the seed and the number of draws alone. Ties at a threshold are all kept.
// A row without one finite logit gives the id NO_TOKEN.
override VOCAB_SIZE: u32;
override REAL_VOCAB_SIZE: u32;
override SEEN_WORDS: u32;
override RING: u32;
override LANES: u32;       // a power of two, at least 256

@group(0) @binding(0) var<storage, read> settings: array<u32>;          // (batch, SETTINGS_WORDS): see encodeSettings()
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;      // (batch, VOCAB_SIZE), only read
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;        // (batch, SEEN_WORDS) bits, only read
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;      // (batch): the token drawn
@group(0) @binding(4) var<storage, read_write> draws: array<u32>;       // (batch): how many were drawn before
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;        // (batch, RING, 2): id, bits of logprob

const NO_TOKEN = 0xffffffffu;
const SETTINGS_WORDS = 8u;
const LOWEST = -3.4e38;
const UNIT = 2147483648.0; // 2^31: all probabilities together

var<workgroup> maxima: array<f32, LANES>;
var<workgroup> best: array<f32, LANES>;
var<workgroup> best_ids: array<u32, LANES>;

// Of all ids: the sum of exponentials of the model's own logits beside the largest of them, and, where a token is drawn
// at random, that of the adjusted ones.
var<private> raw_sum: f32;
var<private> best_sum: f32;

fn setting(b: u32, i: u32) -> u32 { return settings[b * SETTINGS_WORDS + i]; }
fn temperature(b: u32) -> f32 { return bitcast<f32>(setting(b, 0u)); }
fn top_k(b: u32) -> u32 { return setting(b, 1u); }
fn top_p(b: u32) -> f32 { return bitcast<f32>(setting(b, 2u)); }
fn min_p(b: u32) -> f32 { return bitcast<f32>(setting(b, 3u)); }
fn repetition_penalty(b: u32) -> f32 { return bitcast<f32>(setting(b, 4u)); }

// One workgroup has all ids of a batch entry.
fn first_id() -> u32 { return 0u; }
fn end_id() -> u32 { return REAL_VOCAB_SIZE; }
fn share_bins(lane: u32) {}
fn share_total(lane: u32, total: u32) -> u32 { return total; }

// The logit that is drawn from: after repetition penalty and temperature.
fn adjusted(b: u32, id: u32) -> f32 {
  return adjust(b, id, logits[b * VOCAB_SIZE + id]);
}

fn adjust(b: u32, id: u32, logit: f32) -> f32 {
  var value = logit;
  if (repetition_penalty(b) != 1.0 && ((seen[b * SEEN_WORDS + id / 32u] >> (id % 32u)) & 1u) == 1u) {
    value = select(value * repetition_penalty(b), value / repetition_penalty(b), value > 0.0);
  }
  return select(value / temperature(b), value, temperature(b) == 0.0);
}

// Probability in units of 2^-31, given the largest adjusted logit and the sum of exponentials.
fn mass(value: f32) -> u32 {
  return u32(exp(value - best[0]) / best_sum * UNIT);
}

// The same, but 0 for an id whose key is below the threshold.
fn mass_from(b: u32, id: u32, lowest_key: u32) -> u32 {
  let value = adjusted(b, id);
  return select(0u, mass(value), order_key(value) >= lowest_key);
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

// The largest logit of the model's own (raw), and of the adjusted ones, with the first id that has it.
struct Summary {
  raw_max: f32,
  top: f32,
  top_id: u32,
}

// Of four ids LANES apart.
fn raw4(b: u32, first: u32) -> vec4<f32> {
  return vec4<f32>(logit_or_lowest(b, first), logit_or_lowest(b, first + LANES), logit_or_lowest(b, first + 2u * LANES),
                   logit_or_lowest(b, first + 3u * LANES));
}

fn adjust4(b: u32, first: u32, raw: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(adjust(b, first, raw.x), adjust(b, first + LANES, raw.y), adjust(b, first + 2u * LANES, raw.z),
                   adjust(b, first + 3u * LANES, raw.w));
}

// A lane's ids, four at a time: their loads overlap.
fn summary_of_lane(b: u32, lane: u32) -> Summary {
  var s = Summary(LOWEST, LOWEST, NO_TOKEN);
  for (var first = lane; first < REAL_VOCAB_SIZE; first += 4u * LANES) {
    let raw = raw4(b, first);
    s.raw_max = max(s.raw_max, largest(raw));
    let value = adjust4(b, first, raw);
    let larger = largest(value);
    if (larger > s.top) {
      s.top = larger;
      s.top_id = first_of(larger, value, first + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES));
    }
  }
  return s;
}

// The first of four ids whose value is the largest of the four.
fn first_of(larger: f32, value: vec4<f32>, ids: vec4<u32>) -> u32 {
  let of_two = select(ids.y, ids.x, value.x == larger);
  let of_three = select(ids.z, of_two, max(value.x, value.y) == larger);
  return select(ids.w, of_three, max(max(value.x, value.y), value.z) == larger);
}

// Adds another lane's summary to a lane's own.
fn merge(lane: u32, other: u32) {
  maxima[lane] = max(maxima[lane], maxima[other]);
  if (best[other] > best[lane] || (best[other] == best[lane] && best_ids[other] < best_ids[lane])) {
    best_ids[lane] = best_ids[other];
  }
  best[lane] = max(best[lane], best[other]);
}

fn exponentials(values: vec4<f32>, largest: f32) -> vec3<u32> {
  let e = exp(values - largest);
  return (parts_of(e.x) + parts_of(e.y)) + (parts_of(e.z) + parts_of(e.w));
}

// Leaves the summary of all ids in element 0 of maxima, best and best_ids, and the sums of exponentials.
fn summarise(b: u32, lane: u32) {
  let own = summary_of_lane(b, lane);
  maxima[lane] = own.raw_max;
  best[lane] = own.top;
  best_ids[lane] = own.top_id;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      merge(lane, lane + half);
    }
  }
  workgroupBarrier();
  var raw_parts = vec3<u32>(0u);
  var own_parts = vec3<u32>(0u);
  for (var first = lane; first < REAL_VOCAB_SIZE; first += 4u * LANES) {
    let raw = raw4(b, first);
    raw_parts += exponentials(raw, maxima[0]);
    if (temperature(b) != 0.0) {
      own_parts += exponentials(adjust4(b, first, raw), best[0]);
    }
  }
  raw_sum = sum_of_parts(add_parts(lane, raw_parts));
  if (temperature(b) != 0.0) {
    best_sum = sum_of_parts(add_parts(lane, own_parts));
  }
}

// The smallest key that top-k, then top-p, then min-p leave.
fn cut(b: u32, lane: u32) -> u32 {
  var lowest_key = 0u;
  if (top_k(b) != 0u && top_k(b) < REAL_VOCAB_SIZE) {
    lowest_key = threshold_key(b, lane, 0u, top_k(b), false);
  }
  if (top_p(b) < 1.0) {
    lowest_key = max(lowest_key, top_p_key(b, lane, lowest_key));
  }
  if (min_p(b) > 0.0) {
    lowest_key = max(lowest_key, order_key(best[0] + log(min_p(b))));
  }
  return lowest_key;
}

// best_ids[0]: the id at a random place in the masses of all ids whose key reaches the threshold, in order of id.
fn draw(b: u32, lane: u32, lowest_key: u32) {
  let share = (REAL_VOCAB_SIZE + LANES - 1u) / LANES;
  let end = min(REAL_VOCAB_SIZE, (lane + 1u) * share);
  var own = 0u;
  for (var id = lane * share; id < end; id++) {
    own += mass_from(b, id, lowest_key);
  }
  counts[lane] = own;
  scan_counts(lane);
  let random = threefry(vec2<u32>(setting(b, 5u), setting(b, 6u)), vec2<u32>(draws[b], setting(b, 7u))).x;
  let place = multiply_high(random, counts[LANES - 1u]);
  var below = counts[lane] - own;
  if (place >= below && place < counts[lane]) {
    for (var id = lane * share; id < end; id++) {
      let weight = mass_from(b, id, lowest_key);
      if (place >= below && place < below + weight) {
        best_ids[0] = id;
      }
      below += weight;
    }
  }
  workgroupBarrier();
}

// Writes the id in best_ids[0], and what is known of it.
fn note(b: u32) {
  let id = best_ids[0];
  let slot = (b * RING + draws[b] % RING) * 2u;
  ring[slot] = id;
  if (id != NO_TOKEN) {
    ring[slot + 1u] = bitcast<u32>(logits[b * VOCAB_SIZE + id] - maxima[0] - log(raw_sum));
    tokens[b] = id;
  }
  draws[b] += 1u;
}

@compute @workgroup_size(LANES)
fn sample_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = wid.x;
  summarise(b, lane);
  if (temperature(b) != 0.0) {
    draw(b, lane, cut(b, lane));
  }
  if (lane == 0u) {
    note(b);
  }
}
