/** swiglu_fwd: the gate of an MLP. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/swiglu_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel. */
export const swigluFwdKernel = defineKernel({
  name: "swiglu_fwd",
  source,
  bindings: { x: "read", y: "write" },
  params: { rows: "u32" },
  overrides: ["WIDTH"],
  sizes: ({ WIDTH, rows }) => ({ x: 2 * rows * WIDTH, y: rows * WIDTH }),
});

/** Lanes of a workgroup. */
const LANES = 64;

/** y (rows, width) = x silu(gate), of x (rows, 2 width): [x, gate]. */
export function swigluFwd(
  program: Program,
  tensors: { x: Tensor; y: Tensor },
  { rows, width, label }: { rows: number; width: number; label: string },
): void {
  program.add(swigluFwdKernel, {
    tensors,
    overrides: { WIDTH: width },
    params: { rows },
    workgroups: foldWorkgroups(Math.ceil(rows * width / LANES)),
    label,
  });
}
