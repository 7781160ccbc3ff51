// cross_entropy: loss of each row, and its gradient in the logits' place.
//   wanted = (1 - smoothing) onehot(target) + smoothing / real_vocab_size (label smoothing, Szegedy et al. 2016)
//   loss[row] = -wanted . log softmax(logits[row]), in nats      grad_logits[row] = scale (softmax(logits[row]) - wanted)
//   Columns from real_vocab_size on have no probability and gradient 0. A row whose target is IGNORED has loss 0 and
//   gradient 0. NaN and +infinity among the logits give NaN.
// Items: rows.
// Arguments: logits, targets, loss, vocab_size, real_vocab_size, smoothing, scale
// Scratch: the exponentials of a row, in whole vectors

import { threadScratch } from "./control";
import { storeLanes } from "./lanes";
import { log } from "./math";
import { arg, argF32 } from "./record";
import { sumLanes } from "./simd";
import { exponentials, largestOf } from "./softmax";

const IGNORED: u32 = 0xffffffff;

export function crossEntropy(rec: usize, begin: u32, end: u32): void {
  const vocab_size = arg(rec, 3);
  const size = arg(rec, 4);
  const smoothing = argF32(rec, 5);
  const scale = argF32(rec, 6);
  const spread = smoothing / <f32>size;
  const e = threadScratch();
  for (let row = begin; row < end; row++) {
    const logits = arg(rec, 0) + row * vocab_size * 4;
    const target = load<u32>(arg(rec, 1) + row * 4);
    const loss = arg(rec, 2) + row * 4;
    if (target == IGNORED) {
      store<f32>(loss, 0);
      memory.fill(logits, 0, vocab_size * 4);
      continue;
    }
    const top = largestOf(logits, size);
    const total = exponentials(logits, e, size, top);
    let wanted = load<f32>(logits + target * 4) - top;
    if (smoothing > 0) wanted += smoothing * (meanBelow(logits, size, top) - wanted);
    store<f32>(loss, log(total) - wanted);
    const factor = f32x4.splat(scale / total);
    const less = f32x4.splat(scale * spread);
    for (let id: u32 = 0; id < size; id += 4) {
      storeLanes(logits + id * 4, size - id, f32x4.sub(f32x4.mul(factor, v128.load(e + id * 4)), less));
    }
    const own = load<f32>(e + target * 4) / total - (1 - smoothing) - spread;
    store<f32>(logits + target * 4, scale * own);
    memory.fill(logits + size * 4, 0, (vocab_size - size) * 4);
  }
}

/** The mean of x - top. */
function meanBelow(x: usize, size: u32, top: f32): f32 {
  const tops = f32x4.splat(top);
  let total: f64 = 0;
  let i: u32 = 0;
  for (; i + 4 <= size; i += 4) total += <f64>sumLanes(f32x4.sub(v128.load(x + i * 4), tops));
  for (; i < size; i++) total += <f64>(load<f32>(x + i * 4) - top);
  return <f32>(total / <f64>size);
}
