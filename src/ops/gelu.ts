/** gelu_fwd and gelu_bwd: GELU, by its form with tanh, of each element. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import bwdSource from "../../kernels/gelu_bwd.wgsl" with { type: "text" };
import fwdSource from "../../kernels/gelu_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel of the forward. */
export const geluFwdKernel = defineKernel({
  name: "gelu_fwd",
  source: fwdSource,
  bindings: { x: "read", y: "write" },
  params: { size: "u32" },
  overrides: [],
  sizes: ({ size }) => ({ x: size, y: size }),
});

/** The kernel of the backward. */
export const geluBwdKernel = defineKernel({
  name: "gelu_bwd",
  source: bwdSource,
  bindings: { x: "read", grad: "read_write" },
  params: { size: "u32" },
  overrides: [],
  sizes: ({ size }) => ({ x: size, grad: size }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/** y (size) = gelu(x). */
export function geluFwd(
  program: Program,
  tensors: { x: Tensor; y: Tensor },
  { size, label }: { readonly size: number; readonly label: string },
): void {
  const workgroups = foldWorkgroups(Math.ceil(size / LANES));
  program.add(geluFwdKernel, { tensors, overrides: {}, params: { size }, workgroups, label });
}

/** grad (size), of geluFwd()'s y, becomes that of its x. */
export function geluBwd(
  program: Program,
  tensors: { x: Tensor; grad: Tensor },
  { size, label }: { readonly size: number; readonly label: string },
): void {
  const workgroups = foldWorkgroups(Math.ceil(size / LANES));
  program.add(geluBwdKernel, { tensors, overrides: {}, params: { size }, workgroups, label });
}
