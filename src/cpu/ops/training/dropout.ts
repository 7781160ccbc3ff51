/** dropout: forward and backward, which are the same. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../program.ts";
import type { CpuTensor } from "../../tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Elements of an item. */
const BLOCK = 256;

/** A seed has 53 bits: the site goes above those of its high word. */
const SEED_HIGH = 2 ** 21;

/** Places of one model that can drop with masks of their own. */
const MAX_SITES = 2 ** 11;

/**
 * y (size) = x / (1 - probability), but 0 where the element is dropped; with the same seed, site and draw the same
 * elements are, those that a GPU drops: in the backward pass x is the gradient of the forward's y.
 *
 * @param tensors `draw` (1) is a u32 that the caller changes for each forward pass.
 * @param shape `probability` of dropping, from 0 to below 1; `seed` from 0 to 2^53 - 1; `site` tells the layers of a
 * model apart, from 0 to 2047; `accumulate` adds to y. Default: y is overwritten.
 * @throws {RangeError} If probability, seed or site are out of range.
 */
export function dropout(
  program: CpuProgram,
  { x, draw, y }: { x: CpuTensor; draw: CpuTensor; y: CpuTensor },
  shape: {
    size: number;
    probability: number;
    seed: number;
    site: number;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { size, probability, seed, site, accumulate = false, label } = shape;
  if (!(probability >= 0 && probability < 1)) {
    throw new RangeError(`Cannot record ${label}: probability is ${probability}, needed [0, 1)`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`Cannot record ${label}: seed is ${seed}, needed 0 to 2^53 - 1`);
  }
  if (!Number.isInteger(site) || site < 0 || site >= MAX_SITES) {
    throw new RangeError(`Cannot record ${label}: site is ${site}, needed 0 to ${MAX_SITES - 1}`);
  }
  requireSize(label, "x", x, size);
  requireSize(label, "draw", draw, 1);
  requireSize(label, "y", y, size);
  program.add({
    kind: OpKind.dropout,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(16 * BLOCK),
    args: [
      ...[x.address, draw.address, y.address, size],
      ...[seed % 2 ** 32, Math.floor(seed / 2 ** 32) + site * SEED_HIGH],
      ...[Math.floor(probability * 2 ** 32), floatBits(1 / (1 - probability)), Number(accumulate)],
    ],
    label,
  });
}
