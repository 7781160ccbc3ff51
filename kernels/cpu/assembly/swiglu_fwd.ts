// swiglu_fwd: y = x silu(gate), with x and gate the two halves of each row.
// Items: rows.
// Arguments: x (rows, 2 width), y (rows, width), width

import { loadLanes, storeLanes } from "./lanes";
import { silu4 } from "./math";
import { arg } from "./record";

export function swigluFwd(rec: usize, begin: u32, end: u32): void {
  const width = arg(rec, 2);
  for (let row = begin; row < end; row++) {
    const x = arg(rec, 0) + row * width * 8;
    const y = arg(rec, 1) + row * width * 4;
    for (let i: u32 = 0; i < width; i += 4) {
      const gate = loadLanes(x + (width + i) * 4, width - i);
      storeLanes(y + i * 4, width - i, f32x4.mul(loadLanes(x + i * 4, width - i), silu4(gate)));
    }
  }
}
