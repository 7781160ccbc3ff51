// _threshold: where sample_fwd cuts a distribution: keys (see order_key()) that a number of ids, or a mass, reaches.
// Nothing is sorted: a key is found by four histograms, of eight bits each.
// The kernel declares LANES, the ids from first_id() to end_id(), top_p(b), adjusted(b, id), mass(value),
// mass_from(b, id, lowest_key), and, where workgroups have a part of the ids each, how their integers meet:
// share_bins(lane), which adds up bins, and share_total(lane, total).

var<workgroup> counts: array<u32, LANES>;
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> suffix: array<u32, 257>;
var<workgroup> chosen_bin: u32;
var<workgroup> passed: u32;

// bins: how many ids, or how much mass, have each value of the eight bits from `shift` on of their keys. Only keys from
// lowest_key on count, of those that agree with prefix in the bits above.
fn fill_bins(b: u32, lane: u32, lowest_key: u32, prefix: u32, shift: u32, weighted: bool) {
  if (lane < 256u) {
    atomicStore(&bins[lane], 0u);
  }
  workgroupBarrier();
  for (var id = first_id() + lane; id < end_id(); id += LANES) {
    let value = adjusted(b, id);
    let key = order_key(value);
    if (key >= lowest_key && (shift == 24u || key >> (shift + 8u) == prefix >> (shift + 8u))) {
      atomicAdd(&bins[(key >> shift) & 255u], select(1u, mass(value), weighted));
    }
  }
  workgroupBarrier();
}

// suffix[i]: how much lies in bins i and above. No bin is chosen yet.
fn sum_bins(lane: u32) {
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
}

// chosen_bin: where the bins, from the highest down, reach what is missing; passed: how much lies above it.
fn choose_bin(lane: u32, missing: u32) {
  if (lane < 256u && suffix[lane] >= missing && suffix[lane + 1u] < missing) {
    chosen_bin = lane;
    passed = suffix[lane + 1u];
  }
  workgroupBarrier();
}

// Largest key such that the ids at or above it (and at or above lowest_key) number, or weigh, at least wanted.
fn threshold_key(b: u32, lane: u32, lowest_key: u32, wanted: u32, weighted: bool) -> u32 {
  var prefix = 0u;
  var missing = wanted;
  for (var level = 0u; level < 4u; level++) {
    let shift = 24u - 8u * level;
    fill_bins(b, lane, lowest_key, prefix, shift, weighted);
    share_bins(lane);
    sum_bins(lane);
    choose_bin(lane, missing);
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

// The key that top-p asks for, of the ids that lowest_key leaves.
fn top_p_key(b: u32, lane: u32, lowest_key: u32) -> u32 {
  var own = 0u;
  for (var id = first_id() + lane; id < end_id(); id += LANES) {
    own += mass_from(b, id, lowest_key);
  }
  counts[lane] = own;
  scan_counts(lane);
  let total = share_total(lane, counts[LANES - 1u]);
  let wanted = max(1u, u32(ceil(top_p(b) * f32(total))));
  workgroupBarrier();
  return threshold_key(b, lane, lowest_key, wanted, true);
}
