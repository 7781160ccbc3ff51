/** Kernels with the common prelude: what the op files declare theirs with. */

import { defineKernel as define, type Kernel, type KernelSpec } from "../gpu/kernel.ts";
import prelude from "../../kernels/_math.wgsl" with { type: "text" };

/** Declares a kernel whose text follows `_math.wgsl`. */
export function defineKernel<B extends string, P extends string, O extends string>(
  spec: Omit<KernelSpec<B, P, O>, "prelude">,
): Kernel<B, P, O> {
  return define({ ...spec, prelude });
}
