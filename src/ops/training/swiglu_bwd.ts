/** swiglu_bwd: the gradients of an MLP's gate. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/swiglu_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel. */
export const swigluBwdKernel = defineKernel({
  name: "swiglu_bwd",
  source,
  bindings: { x: "read", grad_y: "read", grad_x: "write" },
  params: { rows: "u32" },
  overrides: ["WIDTH"],
  sizes: ({ WIDTH, rows }) => ({
    x: 2 * rows * WIDTH,
    grad_y: rows * WIDTH,
    grad_x: 2 * rows * WIDTH,
  }),
});

/** Lanes of a workgroup. */
const LANES = 64;

/** grad_x (rows, 2 width) from grad_y (rows, width). */
export function swigluBwd(
  program: Program,
  tensors: { x: Tensor; grad_y: Tensor; grad_x: Tensor },
  { rows, width, label }: { rows: number; width: number; label: string },
): void {
  program.add(swigluBwdKernel, {
    tensors,
    overrides: { WIDTH: width },
    params: { rows },
    workgroups: foldWorkgroups(Math.ceil(rows * width / LANES)),
    label,
  });
}
