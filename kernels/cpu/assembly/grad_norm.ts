// sum_of_squares: partials[part] = the sum of x[i]^2 over the part's elements.
// Items: parts.
// Arguments: x, partials, size, elements of a part
//
// clip_factor: what adamw_update multiplies all gradients by, from those sums.
//   norm = sqrt(the sum of partials)      factor = min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_
//   A norm that is NaN or infinite is kept for the log, and its factor is 0, by which adamw_update leaves all as it is.
// Items: one.
// Arguments: partials, clip (2): factor, norm; parts, max_norm

import { arg, argF32 } from "./record";
import { sumOfSquares } from "./rms_norm_fwd";

export function sumSquares(rec: usize, begin: u32, end: u32): void {
  const size = arg(rec, 2);
  const most = arg(rec, 3);
  for (let part = begin; part < end; part++) {
    const first = part * most;
    store<f32>(arg(rec, 1) + part * 4, sumOfSquares(arg(rec, 0) + first * 4, min(most, size - first)));
  }
}

export function clipFactor(rec: usize): void {
  let sum: f64 = 0;
  for (let part: u32 = 0; part < arg(rec, 2); part++) sum += <f64>load<f32>(arg(rec, 0) + part * 4);
  const norm = <f32>Math.sqrt(sum);
  const max_norm = argF32(rec, 3);
  const clip = arg(rec, 1);
  const limited = norm + <f32>1e-6;
  const factor: f32 = limited > max_norm ? max_norm / limited : 1;
  store<f32>(clip, norm - norm == 0 ? factor : 0);
  store<f32>(clip, norm, 4);
}
