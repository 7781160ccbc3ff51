/** dropout: forward and backward, which are the same. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/dropout.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel. */
export const dropoutKernel = defineKernel({
  name: "dropout",
  source,
  bindings: { x: "read", draw: "read", y: "read_write" },
  params: {
    size: "u32",
    seed_low: "u32",
    seed_high: "u32",
    threshold: "u32",
    scale: "f32",
  },
  overrides: ["ACCUMULATE"],
  sizes: ({ size }) => ({ x: size, draw: 1, y: size }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/** A seed has 53 bits: the site goes above those of its high word. */
const SEED_HIGH = 2 ** 21;

/** Places of one model that can drop with masks of their own. */
const MAX_SITES = 2 ** 11;

/**
 * y (size) = x / (1 - probability), but 0 where the element is dropped; with the same seed, site and draw the same
 * elements are: in the backward pass x is the gradient of the forward's y.
 *
 * @param tensors `draw` (1) is a u32 that the caller changes for each forward pass.
 * @param shape `probability` of dropping, from 0 to below 1; `seed` from 0 to 2^53 - 1; `site` tells the layers of a
 * model apart, from 0 to 2047; `accumulate` adds to y. Default: y is overwritten.
 * @throws {RangeError} If probability, seed or site are out of range.
 */
export function dropout(
  program: Program,
  tensors: { x: Tensor; draw: Tensor; y: Tensor },
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
  program.add(dropoutKernel, {
    tensors,
    overrides: { ACCUMULATE: accumulate },
    params: {
      size,
      seed_low: seed % 2 ** 32,
      seed_high: Math.floor(seed / 2 ** 32) + site * SEED_HIGH,
      threshold: Math.floor(probability * 2 ** 32),
      scale: 1 / (1 - probability),
    },
    workgroups: foldWorkgroups(Math.ceil(size / LANES)),
    label,
  });
}
