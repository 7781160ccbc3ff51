/** glu_fwd and glu_bwd: the gated linear unit, whose rows are [value, gate]. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import bwdSource from "../../kernels/glu_bwd.wgsl" with { type: "text" };
import fwdSource from "../../kernels/glu_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel of the forward. */
export const gluFwdKernel = defineKernel({
  name: "glu_fwd",
  source: fwdSource,
  bindings: { x: "read", y: "read_write" },
  params: { rows: "u32" },
  overrides: ["D_MODEL", "ACCUMULATE"],
  sizes: ({ D_MODEL, rows }) => ({ x: 2 * rows * D_MODEL, y: rows * D_MODEL }),
});

/** The kernel of the backward. */
export const gluBwdKernel = defineKernel({
  name: "glu_bwd",
  source: bwdSource,
  bindings: { grad_y: "read", x: "read_write" },
  params: { rows: "u32" },
  overrides: ["D_MODEL"],
  sizes: ({ D_MODEL, rows }) => ({ grad_y: rows * D_MODEL, x: 2 * rows * D_MODEL }),
});

/** Lanes of a workgroup. */
const LANES = 256;

interface GluShape {
  readonly rows: number;
  readonly d_model: number;
  readonly label: string;
}

/** y (rows, d_model) = value * sigmoid(gate), of x (rows, [value, gate]), or that is added to it. */
export function gluFwd(
  program: Program,
  tensors: { x: Tensor; y: Tensor },
  { rows, d_model, accumulate = false, label }: GluShape & { readonly accumulate?: boolean },
): void {
  program.add(gluFwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, ACCUMULATE: accumulate },
    params: { rows },
    workgroups: foldWorkgroups(Math.ceil(rows * d_model / LANES)),
    label,
  });
}

/** x (rows, [value, gate]), as gluFwd() has it, becomes its gradient, of that of its y. */
export function gluBwd(
  program: Program,
  tensors: { grad_y: Tensor; x: Tensor },
  { rows, d_model, label }: GluShape,
): void {
  program.add(gluBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model },
    params: { rows },
    workgroups: foldWorkgroups(Math.ceil(rows * d_model / LANES)),
    label,
  });
}
