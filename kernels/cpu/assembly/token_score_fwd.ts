// token_score_fwd: how expected each target was, from the logits before it.
//   y[row] = (log p(target), rank of target, entropy) with p = softmax(logits[row]) over the real vocabulary.
//   rank counts the ids that are likelier, ties by id: 0 is the best guess. Natural logarithms.
// Items: rows.
// Arguments: logits, targets, y, vocab_size, real_vocab_size

import { loadLanesOr } from "./lanes";
import { exp4, log } from "./math";
import { arg } from "./record";
import { sumLanes } from "./simd";
import { largestOf, LOWEST, SUM_VECTORS } from "./softmax";

export function tokenScoreFwd(rec: usize, begin: u32, end: u32): void {
  const size = arg(rec, 4);
  for (let row = begin; row < end; row++) {
    const logits = arg(rec, 0) + row * arg(rec, 3) * 4;
    const target = load<u32>(arg(rec, 1) + row * 4);
    const own = load<f32>(logits + target * 4);
    const top = largestOf(logits, size);
    const tops = f32x4.splat(top);
    let total: f64 = 0;
    let weighted: f64 = 0;
    for (let first: u32 = 0; first < size; first += 4 * SUM_VECTORS) {
      const last = min(size, first + 4 * SUM_VECTORS);
      let sum = f32x4.splat(0);
      let product = sum;
      for (let id = first; id < last; id += 4) {
        const logit = loadLanesOr(logits + id * 4, size - id, LOWEST);
        // An id with a logit of -Infinity has probability 0 and adds nothing to the entropy.
        const below = f32x4.pmax(f32x4.sub(logit, tops), f32x4.splat(LOWEST));
        const weight = exp4(below);
        sum = f32x4.add(sum, weight);
        product = f32x4.add(product, f32x4.mul(weight, below));
      }
      total += <f64>sumLanes(sum);
      weighted += <f64>sumLanes(product);
    }
    const logTotal = log(<f32>total);
    const y = arg(rec, 2) + row * 12;
    store<f32>(y, own - top - logTotal);
    store<f32>(y, <f32>rankOf(logits, size, target, own), 4);
    store<f32>(y, logTotal - <f32>(weighted / total), 8);
  }
}

/** How many ids have a larger logit than the target, or the same and are before it. */
function rankOf(logits: usize, size: u32, target: u32, own: f32): u32 {
  const limit = f32x4.splat(own);
  let counts = i32x4.splat(0);
  let id: u32 = 0;
  for (; id + 4 <= size; id += 4) {
    const logit = v128.load(logits + id * 4);
    const ids = i32x4.add(i32x4.splat(id), i32x4(0, 1, 2, 3));
    const before = v128.and(f32x4.eq(logit, limit), i32x4.lt_u(ids, i32x4.splat(target)));
    counts = i32x4.sub(counts, v128.or(f32x4.gt(logit, limit), before));
  }
  let count: u32 = i32x4.extract_lane(counts, 0) + i32x4.extract_lane(counts, 1) +
    i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3);
  for (; id < size; id++) {
    const logit = load<f32>(logits + id * 4);
    if (logit > own || (logit == own && id < target)) count++;
  }
  return count;
}
