// adamw_update: one step of AdamW (Loshchilov & Hutter 2019), as torch.optim.AdamW has it.
//   g = clip[0] grad      m = m + (1 - beta1) (g - m)      v = v + (1 - beta2) (g^2 - v)
//   weight = weight (1 - lr weight_decay) - lr (m / (1 - beta1^step)) / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//   What depends on the step comes from a tensor, so that a recorded list serves all steps, and is computed in f64. A clip
//   factor of 0 means that a gradient was NaN or infinite: nothing is changed.
// Items: blocks of 1024 elements.
// Arguments: weight, grad, m, v, clip, schedule (3): lr, the two corrections; size, 1 - beta1, 1 - beta2, eps,
//   weight_decay, what lr is multiplied by

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";
import { madd } from "./simd";

const BLOCK: u32 = 1024;

export function adamwUpdate(rec: usize, begin: u32, end: u32): void {
  const weight = arg(rec, 0);
  const grad = arg(rec, 1);
  const m = arg(rec, 2);
  const v = arg(rec, 3);
  const factor = load<f32>(arg(rec, 4));
  if (factor == 0) return;
  const schedule = arg(rec, 5);
  const learning_rate = argF32(rec, 11) * load<f32>(schedule);
  const clip = f32x4.splat(factor);
  const rest1 = f32x4.splat(argF32(rec, 7));
  const rest2 = f32x4.splat(argF32(rec, 8));
  const eps = f32x4.splat(argF32(rec, 9));
  const kept = f32x4.splat(1 - learning_rate * argF32(rec, 10));
  const rate = f32x4.splat(learning_rate * load<f32>(schedule, 4));
  const correction = v128.load32_splat(schedule, 8);
  const last = min(end * BLOCK, arg(rec, 6));
  for (let i = begin * BLOCK; i < last; i += 4) {
    const at: usize = i * 4;
    const left = last - i;
    const g = f32x4.mul(clip, loadLanes(grad + at, left));
    const mean = loadLanes(m + at, left);
    const next = madd(rest1, f32x4.sub(g, mean), mean);
    const square = loadLanes(v + at, left);
    const nextSquare = madd(rest2, f32x4.sub(f32x4.mul(g, g), square), square);
    const by = madd(f32x4.sqrt(nextSquare), correction, eps);
    const change = f32x4.div(f32x4.mul(rate, next), by);
    storeLanes(weight + at, left, f32x4.sub(f32x4.mul(loadLanes(weight + at, left), kept), change));
    storeLanes(m + at, left, next);
    storeLanes(v + at, left, nextSquare);
  }
}
