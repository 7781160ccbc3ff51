// sample_fwd: draws the next token of each batch entry from its logits, and notes its log-probability.
//   Order as in transformers: repetition penalty, temperature, top-k, top-p, min-p. temperature 0 takes the largest.
//   The log-probability is of the model's own distribution, before any of these. Padding rows take no part.
// As kernels/sample_fwd.wgsl: nothing is sorted, a cut is a threshold on the logits' bits, found by four histograms of
// eight bits each; probabilities are integers of 2^-31, so their sums are exact in any order; ties at a threshold are all
// kept; a row without one finite logit gives the id NO_TOKEN.
// Items: batch entries.
// Arguments: settings of each as encodeSettings() makes them, logits, seen, tokens, draws, ring, vocab_size,
// real_vocab_size, words of a bitmap, draws that the ring keeps
// Scratch: four histograms of 256 words, two rows of the vocabulary in whole vectors

import { threadScratch } from "./control";
import { log } from "./math";
import { arg } from "./record";
import { exponentials, largestOf, LOWEST, placeOf } from "./softmax";
import { threefry } from "./threefry";

const NO_TOKEN: u32 = 0xffffffff;
const SETTINGS_BYTES: u32 = 32;
/** 2^31: all probabilities together. */
const UNIT: f32 = 2147483648;
const BINS: u32 = 256;
/** A histogram for each lane: one for all would wait for its last addition, since many ids share a bin. */
const BINS_BYTES: usize = 4 * BINS;

export function sampleFwd(rec: usize, begin: u32, end: u32): void {
  const size = arg(rec, 7);
  const bins = threadScratch();
  const values = bins + 4 * BINS_BYTES;
  const masses = values + wholeVectors(size) * 4;
  for (let b = begin; b < end; b++) {
    const settings = arg(rec, 0) + b * SETTINGS_BYTES;
    const temperature = load<f32>(settings);
    const top_k = load<u32>(settings, 4);
    const top_p = load<f32>(settings, 8);
    const min_p = load<f32>(settings, 12);
    const penalty = load<f32>(settings, 16);
    const logits = arg(rec, 1) + b * arg(rec, 6) * 4;
    const rawTop = largestOf(logits, size);
    let sum = exponentials(logits, masses, size, rawTop);
    const logSum = log(sum);
    const isAdjusted = penalty != 1 || (temperature != 0 && temperature != 1);
    memory.copy(values, logits, size * 4);
    let top = rawTop;
    if (isAdjusted) {
      if (penalty != 1) penalize(values, arg(rec, 2) + b * arg(rec, 8) * 4, size, penalty);
      if (temperature != 0) divide(values, size, temperature);
      top = largestOf(values, size);
      if (temperature != 0) sum = exponentials(values, masses, size, top);
    }
    const place = top > LOWEST ? placeOf(values, size, top) : -1;
    let id: u32 = place < 0 ? NO_TOKEN : place;
    const draws = arg(rec, 4) + b * 4;
    const drawn = load<u32>(draws);
    if (temperature != 0) {
      toMasses(masses, size, sum);
      let lowest: u32 = 0;
      if (top_k != 0 && top_k < size) {
        lowest = thresholdKey(bins, values, 0, size, 0, top_k);
      }
      if (top_p < 1) {
        const total = keepFrom(values, masses, size, lowest);
        const wanted = max<u32>(1, u32(Mathf.ceil(top_p * <f32>total)));
        lowest = max(lowest, thresholdKey(bins, values, masses, size, lowest, wanted));
      }
      if (min_p > 0) lowest = max(lowest, orderKey(top + log(min_p)));
      const total = keepFrom(values, masses, size, lowest);
      const random = threefry(load<u32>(settings, 20), load<u32>(settings, 24), drawn, load<u32>(settings, 28));
      id = idAt(masses, size, <u32>((<u64>random * <u64>total) >> 32), id);
    }
    const slot = arg(rec, 5) + (b * arg(rec, 9) + drawn % arg(rec, 9)) * 8;
    store<u32>(slot, id);
    if (id != NO_TOKEN) {
      store<f32>(slot, load<f32>(logits + id * 4) - rawTop - logSum, 4);
      store<u32>(arg(rec, 3) + b * 4, id);
    }
    store<u32>(draws, drawn + 1);
  }
}

// @ts-ignore: decorator
@inline
function wholeVectors(size: u32): usize {
  return (size + 3) & ~3;
}

/** Divides the positive values of the ids seen, and multiplies the others. */
function penalize(values: usize, seen: usize, size: u32, penalty: f32): void {
  for (let first: u32 = 0; first < size; first += 32) {
    for (let bits = load<u32>(seen + first / 8); bits != 0; bits &= bits - 1) {
      const id = first + ctz<u32>(bits);
      if (id >= size) return;
      const value = load<f32>(values + id * 4);
      store<f32>(values + id * 4, value > 0 ? value / penalty : value * penalty);
    }
  }
}

// From here on rows are taken in whole vectors: what follows the last value has no mass.

function divide(values: usize, size: u32, temperature: f32): void {
  const by = f32x4.splat(temperature);
  for (let id: u32 = 0; id < size; id += 4) {
    v128.store(values + id * 4, f32x4.div(v128.load(values + id * 4), by));
  }
}

/** Probabilities in units of 2^-31, in place of exponentials whose sum is given. */
function toMasses(masses: usize, size: u32, sum: f32): void {
  const sums = f32x4.splat(sum);
  const unit = f32x4.splat(UNIT);
  for (let id: u32 = 0; id < size; id += 4) {
    const probability = f32x4.div(v128.load(masses + id * 4), sums);
    v128.store(masses + id * 4, i32x4.trunc_sat_f32x4_u(f32x4.mul(probability, unit)));
  }
}

/** Bits that compare as unsigned numbers the way the floats do. */
function orderKey(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  return bits >> 31 == 1 ? ~bits : bits | 0x80000000;
}

// @ts-ignore: decorator
@inline
function orderKeys(values: v128): v128 {
  return v128.xor(values, v128.or(i32x4.shr_s(values, 31), i32x4.splat(0x80000000)));
}

/** Sets the masses of ids below a key to zero, and returns the sum of the others. */
function keepFrom(values: usize, masses: usize, size: u32, lowest: u32): u32 {
  let total = i32x4.splat(0);
  for (let id: u32 = 0; id < size; id += 4) {
    const is = i32x4.ge_u(orderKeys(v128.load(values + id * 4)), i32x4.splat(lowest));
    const kept = v128.and(v128.load(masses + id * 4), is);
    v128.store(masses + id * 4, kept);
    total = i32x4.add(total, kept);
  }
  return i32x4.extract_lane(total, 0) + i32x4.extract_lane(total, 1) +
    i32x4.extract_lane(total, 2) + i32x4.extract_lane(total, 3);
}

/**
 * Largest key such that the ids at or above it (and at or above `lowest`) number at least `wanted`, or weigh as much where
 * there are masses.
 */
function thresholdKey(bins: usize, values: usize, masses: usize, size: u32, lowest: u32, wanted: u32): u32 {
  let prefix: u32 = 0;
  let missing = wanted;
  for (let shift: i32 = 24; shift >= 0; shift -= 8) {
    memory.fill(bins, 0, 4 * BINS_BYTES);
    for (let id: u32 = 0; id < size; id += 4) {
      const keys = orderKeys(v128.load(values + id * 4));
      let is = i32x4.ge_u(keys, i32x4.splat(lowest));
      if (shift < 24) {
        const same = i32x4.eq(i32x4.shr_u(keys, shift + 8), i32x4.splat(prefix >> (shift + 8)));
        is = v128.and(is, same);
      }
      if (size - id < 4) is = v128.and(is, i32x4.lt_u(i32x4(0, 1, 2, 3), i32x4.splat(size - id)));
      if (!v128.any_true(is)) continue;
      // All four without a branch: which of them it is for cannot be foretold.
      const weights = v128.and(is, masses == 0 ? i32x4.splat(1) : v128.load(masses + id * 4));
      const at = i32x4.shl(v128.and(i32x4.shr_u(keys, shift), i32x4.splat(BINS - 1)), 2);
      add(bins + i32x4.extract_lane(at, 0), i32x4.extract_lane(weights, 0));
      add(bins + BINS_BYTES + i32x4.extract_lane(at, 1), i32x4.extract_lane(weights, 1));
      add(bins + 2 * BINS_BYTES + i32x4.extract_lane(at, 2), i32x4.extract_lane(weights, 2));
      add(bins + 3 * BINS_BYTES + i32x4.extract_lane(at, 3), i32x4.extract_lane(weights, 3));
    }
    // How much lies in the bins above, until there is enough.
    let above: u32 = 0;
    for (let bin: i32 = BINS - 1; bin >= 0; bin--) {
      const own = bins + (bin << 2);
      const sum = above + load<u32>(own) + load<u32>(own, BINS_BYTES) + load<u32>(own, 2 * BINS_BYTES) +
        load<u32>(own, 3 * BINS_BYTES);
      if (sum >= missing) {
        prefix |= bin << shift;
        missing -= above;
        break;
      }
      above = sum;
    }
  }
  return prefix;
}

// @ts-ignore: decorator
@inline
function add(bin: usize, weight: u32): void {
  store<u32>(bin, load<u32>(bin) + weight);
}

/** The id at a place in the masses, counted in order of id; another where they end before. */
function idAt(masses: usize, size: u32, place: u32, otherwise: u32): u32 {
  let left = place;
  for (let id: u32 = 0; id < size; id++) {
    const mass = load<u32>(masses + id * 4);
    if (left < mass) return id;
    left -= mass;
  }
  return otherwise;
}
