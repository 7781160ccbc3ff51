// swiglu_bwd: the gradients of x and gate, the two halves of each row, from that of y = x silu(gate).
// Items: rows.
// Arguments: x (rows, 2 width), grad_y (rows, width), grad_x (rows, 2 width), width

import { loadLanes, storeLanes } from "./lanes";
import { silu4, siluDerivative4 } from "./math";
import { arg } from "./record";

export function swigluBwd(rec: usize, begin: u32, end: u32): void {
  const width = arg(rec, 3);
  for (let row = begin; row < end; row++) {
    const x = arg(rec, 0) + row * width * 8;
    const grad_y = arg(rec, 1) + row * width * 4;
    const grad_x = arg(rec, 2) + row * width * 8;
    for (let i: u32 = 0; i < width; i += 4) {
      const left = width - i;
      const gate = loadLanes(x + (width + i) * 4, left);
      const grad = loadLanes(grad_y + i * 4, left);
      const through = f32x4.mul(grad, loadLanes(x + i * 4, left));
      storeLanes(grad_x + i * 4, left, f32x4.mul(grad, silu4(gate)));
      storeLanes(grad_x + (width + i) * 4, left, f32x4.mul(through, siluDerivative4(gate)));
    }
  }
}
