// Rows of four channels at a time, of tensors whose channels lie side by side.

import { loadLanes, storeLanes } from "./lanes";

/** Channels from `d` on, at most four, of a row of d_model. */
// @ts-ignore: decorator
@inline
export function loadRow(base: usize, row: u32, d_model: u32, d: u32): v128 {
  return loadLanes(base + (row * d_model + d) * 4, d_model - d);
}

/** The same to write. */
// @ts-ignore: decorator
@inline
export function storeRow(base: usize, row: u32, d_model: u32, d: u32, values: v128): void {
  storeLanes(base + (row * d_model + d) * 4, d_model - d, values);
}

/** Copies the same channels of `count` rows, one every `stride` bytes, to 16 bytes each; `there` of them, the rest zeros. */
export function packRows4(from: usize, stride: usize, lanes: u32, to: usize, count: u32, there: u32): void {
  for (let k: u32 = 0; k < count; k++, from += stride, to += 16) {
    v128.store(to, k < there ? loadLanes(from, lanes) : f32x4.splat(0));
  }
}
