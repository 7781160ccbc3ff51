/** Kernels with the common preludes: what the op files declare theirs with. */

import { defineKernel as define, type Kernel, type KernelSpec } from "../gpu/kernel.ts";
import _math from "../../kernels/_math.wgsl" with { type: "text" };
import _tile from "../../kernels/_tile.wgsl" with { type: "text" };

/** The text that goes before every kernel's. */
export const MATH_PRELUDE = _math;

/** Declares a kernel whose text follows `_math.wgsl`. */
export function defineKernel<B extends string, P extends string, O extends string>(
  spec: Omit<KernelSpec<B, P, O>, "preludes">,
): Kernel<B, P, O> {
  return define({ ...spec, preludes: { _math } });
}

/** Declares a kernel whose text follows `_math.wgsl` and `_tile.wgsl`: a product of matrices, a tile a workgroup. */
export function defineTileKernel<B extends string, P extends string, O extends string>(
  spec: Omit<KernelSpec<B, P, O>, "preludes">,
): Kernel<B, P, O> {
  return define({ ...spec, preludes: { _math, _tile } });
}
