// glu_fwd and glu_bwd: the gated linear unit: see kernels/glu_fwd.wgsl and glu_bwd.wgsl.
// Items: rows.
// Arguments: of glu_fwd x (rows, [value, gate]), y, d_model, whether to add; of glu_bwd grad_y, x, d_model

import { loadLanes, storeLanes } from "./lanes";
import { sigmoid4 } from "./math";
import { arg } from "./record";

export function gluFwd(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 2);
  for (let row = begin; row < end; row++) {
    const x = arg(rec, 0) + 2 * row * d_model * 4;
    const y = arg(rec, 1) + row * d_model * 4;
    for (let d: u32 = 0; d < d_model; d += 4) {
      const left = d_model - d;
      const gate = sigmoid4(loadLanes(x + (d_model + d) * 4, left));
      const value = f32x4.mul(loadLanes(x + d * 4, left), gate);
      const before = arg(rec, 3) != 0 ? loadLanes(y + d * 4, left) : f32x4.splat(0);
      storeLanes(y + d * 4, left, f32x4.add(before, value));
    }
  }
}

export function gluBwd(rec: usize, begin: u32, end: u32): void {
  const one = f32x4.splat(1);
  const d_model = arg(rec, 2);
  for (let row = begin; row < end; row++) {
    const grad_y = arg(rec, 0) + row * d_model * 4;
    const x = arg(rec, 1) + 2 * row * d_model * 4;
    for (let d: u32 = 0; d < d_model; d += 4) {
      const left = d_model - d;
      const s = sigmoid4(loadLanes(x + (d_model + d) * 4, left));
      const grad = f32x4.mul(loadLanes(grad_y + d * 4, left), s);
      const ofGate = f32x4.mul(f32x4.mul(grad, loadLanes(x + d * 4, left)), f32x4.sub(one, s));
      storeLanes(x + d * 4, left, grad);
      storeLanes(x + (d_model + d) * 4, left, ofGate);
    }
  }
}
