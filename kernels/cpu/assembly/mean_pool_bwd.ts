// mean_pool_bwd: the gradient of one vector a sequence, spread over the sequence's steps.
//   mean:  grad_x[b, t] = scale grad_y[b]: y was the mean, after the last step, of 1 / scale steps.
//   else:  grad_x[b, t] = grad_y[b] at the last step and 0 before it: y was the last step itself.
// Items: rows of grad_x.
// Arguments: grad_y (batch, d_model), grad_x (batch, seqlen, d_model), seqlen, d_model, scale, mean

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";

export function meanPoolBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 2);
  const d_model = arg(rec, 3);
  const mean = arg(rec, 5) != 0;
  for (let row = begin; row < end; row++) {
    const grad_x = arg(rec, 1) + row * d_model * 4;
    const grad_y = arg(rec, 0) + row / seqlen * d_model * 4;
    if (!mean && row % seqlen != seqlen - 1) {
      memory.fill(grad_x, 0, d_model * 4);
      continue;
    }
    const scale = f32x4.splat(argF32(rec, 4));
    for (let d: u32 = 0; d < d_model; d += 4) {
      storeLanes(grad_x + d * 4, d_model - d, f32x4.mul(scale, loadLanes(grad_y + d * 4, d_model - d)));
    }
  }
}
