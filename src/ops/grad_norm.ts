/** sum_of_squares and clip_factor: the norm of all gradients, and what they are multiplied by to limit it. */

import type { Program } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import clipFactorSource from "../../kernels/clip_factor.wgsl" with { type: "text" };
import sumOfSquaresSource from "../../kernels/sum_of_squares.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel of the first stage. */
export const sumOfSquaresKernel = defineKernel({
  name: "sum_of_squares",
  source: sumOfSquaresSource,
  bindings: { x: "read", partials: "write" },
  params: { size: "u32", start: "u32" },
  overrides: ["PART"],
});

/** The kernel of the second stage. */
export const clipFactorKernel = defineKernel({
  name: "clip_factor",
  source: clipFactorSource,
  bindings: { partials: "read", clip: "write" },
  params: { parts: "u32", max_norm: "f32" },
  overrides: [],
});

/** Elements that one workgroup adds up: what begins at a multiple of it has partials of its own. */
export const NORM_PART = 1024;

/** Elements of the `clip` tensor: the factor, then the norm before clipping. */
export const CLIP_SIZE = 2;

/** Part of the norm. */
export interface NormTerm {
  readonly tensor: Tensor;
  /** Elements of it, padding included, which must be 0. */
  readonly size: number;
  /** What the tensor is the gradient of. */
  readonly label: string;
}

/**
 * Where each tensor's partials start for tensors of these sizes, and at the end their number.
 *
 * The sum of tensor i's partials is its own squared norm: which gradient is NaN can be read there.
 */
export function gradNormStarts(sizes: readonly number[]): number[] {
  const starts = [0];
  for (const size of sizes) starts.push((starts.at(-1) ?? 0) + Math.ceil(size / NORM_PART));
  return starts;
}

/**
 * clip (2) = the factor min(1, maxNorm / (norm + 1e-6)), and the norm of all gradients together.
 *
 * A norm that is NaN or infinite is kept, with factor 0, by which {@linkcode adamwUpdate} changes nothing.
 *
 * @param tensors `partials` is scratch of as many elements as {@linkcode gradNormStarts} says last.
 * @param options `maxNorm` may be Infinity: then the factor is 1.
 */
export function gradNorm(
  program: Program,
  tensors: { gradients: readonly NormTerm[]; partials: Tensor; clip: Tensor },
  options: { maxNorm: number; label: string },
): void {
  const { gradients, partials, clip } = tensors;
  const starts = gradNormStarts(gradients.map(({ size }) => size));
  for (const [index, { tensor, size, label }] of gradients.entries()) {
    program.add(sumOfSquaresKernel, {
      tensors: { x: tensor, partials },
      overrides: { PART: NORM_PART },
      params: { size, start: starts[index] ?? 0 },
      workgroups: foldWorkgroups(Math.ceil(size / NORM_PART)),
      label: `${options.label}.${label}`,
    });
  }
  program.add(clipFactorKernel, {
    tensors: { partials, clip },
    overrides: {},
    params: { parts: starts.at(-1) ?? 0, max_norm: options.maxNorm },
    workgroups: [1, 1, 1],
    label: options.label,
  });
}
