/** dropout: forward and backward, which are the same. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/dropout.wgsl" with { type: "text" };
import { type DropoutSettings, dropoutWords } from "../../model/dropout.ts";
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

/**
 * y (size) = x / (1 - probability), but 0 where the element is dropped; with the same seed, site and draw the same
 * elements are: in the backward pass x is the gradient of the forward's y.
 *
 * @param tensors `draw` (1) is a u32 that the caller changes for each forward pass.
 * @param shape `accumulate` adds to y. Default: y is overwritten.
 * @throws {RangeError} If probability, seed or site are out of range.
 */
export function dropout(
  program: Program,
  tensors: { x: Tensor; draw: Tensor; y: Tensor },
  shape: DropoutSettings & { size: number; accumulate?: boolean; label: string },
): void {
  const { size, accumulate = false, label } = shape;
  program.add(dropoutKernel, {
    tensors,
    overrides: { ACCUMULATE: accumulate },
    params: { size, ...dropoutWords(label, shape) },
    workgroups: foldWorkgroups(Math.ceil(size / LANES)),
    label,
  });
}
