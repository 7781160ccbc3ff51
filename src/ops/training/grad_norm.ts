/** sum_of_squares and clip_factor: the norm of all gradients, and what they are multiplied by to limit it. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import clipFactorSource from "../../../kernels/clip_factor.wgsl" with { type: "text" };
import sumOfSquaresSource from "../../../kernels/sum_of_squares.wgsl" with { type: "text" };
import { gradNormParts, NORM_PART } from "../../model/grad_norm.ts";
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel of the first stage. */
export const sumOfSquaresKernel = defineKernel({
  name: "sum_of_squares",
  source: sumOfSquaresSource,
  bindings: { x: "read", partials: "write" },
  params: { size: "u32" },
  overrides: ["PART"],
  sizes: ({ PART, size }) => ({ x: size, partials: Math.ceil(size / PART) }),
});

/** The kernel of the second stage. */
export const clipFactorKernel = defineKernel({
  name: "clip_factor",
  source: clipFactorSource,
  bindings: { partials: "read", clip: "write" },
  params: { parts: "u32", max_norm: "f32" },
  overrides: [],
  sizes: ({ parts }) => ({ partials: parts, clip: 2 }),
});

/**
 * clip (2) = the factor min(1, maxNorm / (norm + 1e-6)), and the norm of all gradients together.
 *
 * A norm that is NaN or infinite is kept, with factor 0, by which {@linkcode adamwUpdate} changes nothing; which gradient
 * it comes from can be read in `partials`.
 *
 * @param tensors `gradients` holds `size` elements, padding between tensors included, which must be 0; `partials`
 * (gradNormParts(size)) gets the sums of squares of the parts.
 * @param shape `maxNorm` may be Infinity: then the factor is 1.
 */
export function gradNorm(
  program: Program,
  tensors: { gradients: Tensor; partials: Tensor; clip: Tensor },
  shape: { size: number; maxNorm: number; label: string },
): void {
  const { gradients, partials, clip } = tensors;
  const { size, maxNorm, label } = shape;
  const parts = gradNormParts(size);
  program.add(sumOfSquaresKernel, {
    tensors: { x: gradients, partials },
    overrides: { PART: NORM_PART },
    params: { size },
    workgroups: foldWorkgroups(parts),
    label: `${label}.squares`,
  });
  program.add(clipFactorKernel, {
    tensors: { partials, clip },
    overrides: {},
    params: { parts, max_norm: maxNorm },
    workgroups: [1, 1, 1],
    label,
  });
}
