// _step_sample: draws the next token within a step: see sample_fwd, of which this is the same by all workgroups
// together.
//   SHARED: each has the ids whose logits it computed, and integers meet in exchange: counts and masses, which add up
//   to the same in any order. Otherwise, where there are few ids, each draws from all of them, and gets the same.
// The kernel declares what _step_ends, _threshold and _exponentials say, and chosen (u32), SHARED, REAL_VOCAB_SIZE,
// RING, and where things lie: SUMMARIES, BINS, TOTALS in exchange, DRAWS_AT, TOKENS_AT, RING_AT in session.

const NO_TOKEN = 0xffffffffu;
const LOWEST = -3.4e38;
const UNIT = 2147483648.0; // 2^31: all probabilities together
const SUMMARY_WORDS = 8u;
const BIN_SETS = 9u;       // four for top-k, four for top-p; of the last a word is the mass that top-p leaves, and then
const EXPONENTIALS = 1u;   // come two sums of three words

// A group's ids, and how many sets of bins are in use.
var<private> ids_begin: u32;
var<private> ids_end: u32;
var<private> bin_set: u32;

// Of all ids: the largest logit, the sum of exponentials beside it, and, where a token is drawn at random, the same of
// the adjusted ones.
var<private> raw_max: f32;
var<private> raw_sum: f32;
var<private> best: f32;
var<private> best_sum: f32;

fn temperature() -> f32 { return bitcast<f32>(request[SETTINGS]); }
fn top_k() -> u32 { return request[SETTINGS + 1u]; }
fn top_p(b: u32) -> f32 { return bitcast<f32>(request[SETTINGS + 2u]); }
fn min_p() -> f32 { return bitcast<f32>(request[SETTINGS + 3u]); }
fn repetition_penalty() -> f32 { return bitcast<f32>(request[SETTINGS + 4u]); }

fn first_id() -> u32 { return ids_begin; }
fn end_id() -> u32 { return ids_end; }

fn logit(id: u32) -> f32 {
  return bitcast<f32>(atomicLoad(&session[LOGITS_AT + id]));
}

fn adjust(id: u32, raw: f32) -> f32 {
  var value = raw;
  if (repetition_penalty() != 1.0 && ((atomicLoad(&session[SEEN_AT + id / 32u]) >> (id % 32u)) & 1u) == 1u) {
    value = select(value * repetition_penalty(), value / repetition_penalty(), value > 0.0);
  }
  return select(value / temperature(), value, temperature() == 0.0);
}

fn adjusted(b: u32, id: u32) -> f32 {
  return adjust(id, logit(id));
}

fn mass(value: f32) -> u32 {
  return u32(exp(value - best) / best_sum * UNIT);
}

fn mass_from(b: u32, id: u32, lowest_key: u32) -> u32 {
  let value = adjusted(b, id);
  return select(0u, mass(value), order_key(value) >= lowest_key);
}

// A lane's largest logit in sums, and its largest adjusted one LANES behind; the first id that has this in counts.
fn summarise_lane(lane: u32) {
  var own_max = LOWEST;
  var top = LOWEST;
  var top_id = NO_TOKEN;
  for (var id = ids_begin + lane; id < ids_end; id += LANES) {
    let raw = logit(id);
    let value = adjust(id, raw);
    own_max = max(own_max, raw);
    if (value > top) {
      top = value;
      top_id = id;
    }
  }
  sums[lane] = own_max;
  sums[LANES + lane] = top;
  counts[lane] = top_id;
}

fn merge(lane: u32, other: u32) {
  sums[lane] = max(sums[lane], sums[other]);
  let top = sums[LANES + other];
  let own = sums[LANES + lane];
  if (top > own || (top == own && counts[other] < counts[lane])) {
    counts[lane] = counts[other];
  }
  sums[LANES + lane] = max(own, top);
}

// Merges the first `count` lanes' summaries into lane 0's.
fn merge_lanes(lane: u32, count: u32) {
  for (var half = 512u; half > 0u; half /= 2u) {
    if (half < count) {
      workgroupBarrier();
      if (lane < half && lane + half < count) {
        merge(lane, lane + half);
      }
    }
  }
  workgroupBarrier();
}

// Leaves the first id with the largest adjusted logit in counts[0].
fn summarise(group: u32, lane: u32) {
  summarise_lane(lane);
  merge_lanes(lane, LANES);
  if (SHARED) {
    let own = SUMMARIES + group * SUMMARY_WORDS;
    if (lane == 0u) {
      hand_over(own, sums[0]);
      hand_over(own + 1u, sums[LANES]);
      atomicStore(&exchange[own + 2u], counts[0]);
    }
    meet(lane);
    if (lane < GROUPS) {
      let place = SUMMARIES + lane * SUMMARY_WORDS;
      sums[lane] = handed(place);
      sums[LANES + lane] = handed(place + 1u);
      counts[lane] = atomicLoad(&exchange[place + 2u]);
    }
    merge_lanes(lane, GROUPS);
  }
  raw_max = sums[0];
  best = sums[LANES];
  add_exponentials(lane);
}

// Adds this group's sums to the others'.
fn add_exponentials(lane: u32) {
  var raw_parts = vec3<u32>(0u);
  var own_parts = vec3<u32>(0u);
  for (var id = ids_begin + lane; id < ids_end; id += LANES) {
    let raw = logit(id);
    raw_parts += parts_of(exp(raw - raw_max));
    if (temperature() != 0.0) {
      own_parts += parts_of(exp(adjust(id, raw) - best));
    }
  }
  raw_parts = add_parts(lane, raw_parts);
  if (temperature() != 0.0) {
    own_parts = add_parts(lane, own_parts);
  }
  if (SHARED) {
    let place = BINS + (BIN_SETS - 1u) * 256u + EXPONENTIALS;
    if (lane < 3u) {
      atomicAdd(&exchange[place + lane], raw_parts[lane]);
      atomicAdd(&exchange[place + 3u + lane], own_parts[lane]);
    }
    meet(lane);
    raw_parts = handed_parts(place);
    own_parts = handed_parts(place + 3u);
  }
  raw_sum = sum_of_parts(raw_parts);
  best_sum = sum_of_parts(own_parts);
}

fn handed_parts(place: u32) -> vec3<u32> {
  return vec3<u32>(
    atomicLoad(&exchange[place]), atomicLoad(&exchange[place + 1u]), atomicLoad(&exchange[place + 2u]));
}

// Adds this group's bins to the others'.
fn share_bins(lane: u32) {
  if (!SHARED) {
    return;
  }
  let start = BINS + bin_set * 256u;
  bin_set += 1u;
  if (lane < 256u) {
    atomicAdd(&exchange[start + lane], atomicLoad(&bins[lane]));
  }
  meet(lane);
  if (lane < 256u) {
    atomicStore(&bins[lane], atomicLoad(&exchange[start + lane]));
  }
}

// The sum of all groups' totals.
fn share_total(lane: u32, total: u32) -> u32 {
  if (!SHARED) {
    return total;
  }
  let place = BINS + (BIN_SETS - 1u) * 256u;
  if (lane == 0u) {
    atomicAdd(&exchange[place], total);
  }
  meet(lane);
  return atomicLoad(&exchange[place]);
}

// The smallest key that top-k, then top-p, then min-p leave.
fn cut(lane: u32) -> u32 {
  var lowest_key = 0u;
  if (top_k() != 0u && top_k() < REAL_VOCAB_SIZE) {
    lowest_key = threshold_key(0u, lane, 0u, top_k(), false);
  }
  if (top_p(0u) < 1.0) {
    bin_set = 4u;
    lowest_key = max(lowest_key, top_p_key(0u, lane, lowest_key));
  }
  if (min_p() > 0.0) {
    lowest_key = max(lowest_key, order_key(best + log(min_p())));
  }
  return lowest_key;
}

// Masses of all groups before this one, and of all.
fn share_masses(group: u32, lane: u32, own: u32) -> vec2<u32> {
  if (!SHARED) {
    return vec2<u32>(0u, own);
  }
  if (lane == 0u) {
    atomicStore(&exchange[TOTALS + group], own);
  }
  meet(lane);
  counts[lane] = 0u;
  if (lane < GROUPS) {
    counts[lane] = atomicLoad(&exchange[TOTALS + lane]);
  }
  scan_counts(lane);
  return vec2<u32>(counts[group] - own, counts[LANES - 1u]);
}

// chosen: the id at a random place in the masses of all ids whose key reaches the threshold, in order of id.
fn choose(group: u32, lane: u32, draws: u32, lowest_key: u32) {
  let share = (ids_end - ids_begin + LANES - 1u) / LANES;
  let begin = min(ids_end, ids_begin + lane * share);
  let end = min(ids_end, begin + share);
  var own = 0u;
  for (var id = begin; id < end; id++) {
    own += mass_from(0u, id, lowest_key);
  }
  workgroupBarrier();
  counts[lane] = own;
  scan_counts(lane);
  let after = counts[lane];
  let all_own = counts[LANES - 1u];
  workgroupBarrier();
  let all = share_masses(group, lane, all_own);
  let key = vec2<u32>(request[SETTINGS + 5u], request[SETTINGS + 6u]);
  let random = threefry(key, vec2<u32>(draws, request[SETTINGS + 7u])).x;
  let place = multiply_high(random, all.y);
  var below = all.x + after - own;
  if (place >= below && place < below + own) {
    for (var id = begin; id < end; id++) {
      let weight = mass_from(0u, id, lowest_key);
      if (place >= below && place < below + weight) {
        if (SHARED) {
          atomicStore(&exchange[TOTALS + GROUPS], id);
        } else {
          chosen = id;
        }
      }
      below += weight;
    }
  }
  if (SHARED) {
    meet(lane);
    if (lane == 0u) {
      chosen = atomicLoad(&exchange[TOTALS + GROUPS]);
    }
  }
  workgroupBarrier();
}

// Bins are cleared by one group; the summary's meeting comes before they are used, and those of the draw before, after.
fn clear_bins(group: u32, lane: u32) {
  if (SHARED && group == 0u) {
    for (var i = lane; i < BIN_SETS * 256u; i += LANES) {
      atomicStore(&exchange[BINS + i], 0u);
    }
  }
  bin_set = 0u;
}

// Draws token number `draws` of the session, and notes it.
fn sample(group: u32, lane: u32, draws: u32) {
  clear_bins(group, lane);
  ids_begin = select(0u, min(REAL_VOCAB_SIZE, group * HEAD_ROWS), SHARED);
  ids_end = select(REAL_VOCAB_SIZE, min(REAL_VOCAB_SIZE, ids_begin + HEAD_ROWS), SHARED);
  summarise(group, lane);
  if (lane == 0u) {
    chosen = counts[0];
  }
  workgroupBarrier();
  if (temperature() != 0.0) {
    choose(group, lane, draws, cut(lane));
  }
  if (lane == 0u) {
    if (chosen != NO_TOKEN) {
      token = chosen;
    }
    if (group == 0u) {
      note(draws);
    }
  }
  workgroupBarrier();
}

fn note(draws: u32) {
  let slot = RING_AT + draws % RING * 2u;
  atomicStore(&session[slot], chosen);
  if (chosen != NO_TOKEN) {
    let logprob = logit(chosen) - raw_max - log(raw_sum);
    atomicStore(&session[slot + 1u], bitcast<u32>(logprob));
    atomicStore(&session[TOKENS_AT], chosen);
  }
  atomicStore(&session[DRAWS_AT], draws + 1u);
}
