/** dropout: forward and backward, which are the same. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { type DropoutSettings, dropoutWords } from "../../../model/dropout.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Elements of an item. */
const BLOCK = 256;

/**
 * y (size) = x / (1 - probability), but 0 where the element is dropped; with the same seed, site and draw the same
 * elements are, those that a GPU drops: in the backward pass x is the gradient of the forward's y.
 *
 * @param tensors `draw` (1) is a u32 that the caller changes for each forward pass.
 * @param shape `accumulate` adds to y. Default: y is overwritten.
 * @throws {RangeError} If probability, seed or site are out of range.
 */
export function dropout(
  program: CpuProgram,
  { x, draw, y }: { x: CpuTensor; draw: CpuTensor; y: CpuTensor },
  shape: DropoutSettings & { size: number; accumulate?: boolean; label: string },
): void {
  const { size, accumulate = false, label } = shape;
  const { seed_low, seed_high, threshold, scale } = dropoutWords(label, shape);
  requireSize(label, "x", x, size);
  requireSize(label, "draw", draw, 1);
  requireSize(label, "y", y, size);
  program.add({
    kind: OpKind.dropout,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(16 * BLOCK),
    args: [
      ...[x.address, draw.address, y.address, size],
      ...[seed_low, seed_high, threshold, floatBits(scale), Number(accumulate)],
    ],
    label,
  });
}
