/** dt_bc_norm_fwd and dt_bc_norm_bwd: FalconMamba's norms of dt_low, B and C. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import bwdSource from "../../kernels/dt_bc_norm_bwd.wgsl" with { type: "text" };
import fwdSource from "../../kernels/dt_bc_norm_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";

/** The forward. */
export const dtBCNormFwdKernel = defineKernel({
  name: "dt_bc_norm_fwd",
  source: fwdSource,
  bindings: { x_dbl: "read_write", rstd: "write" },
  params: { rows: "u32" },
  overrides: ["DT_RANK", "D_STATE", "EPS"],
  sizes: ({ DT_RANK, D_STATE, rows }) => ({
    x_dbl: rows * (DT_RANK + 2 * D_STATE),
    rstd: rows * PARTS,
  }),
});

/** The backward. */
export const dtBCNormBwdKernel = defineKernel({
  name: "dt_bc_norm_bwd",
  source: bwdSource,
  bindings: { x_dbl: "read", rstd: "read", grad_x_dbl: "read_write" },
  params: { rows: "u32" },
  overrides: ["DT_RANK", "D_STATE"],
  sizes: ({ DT_RANK, D_STATE, rows }) => ({
    x_dbl: rows * (DT_RANK + 2 * D_STATE),
    rstd: rows * PARTS,
    grad_x_dbl: rows * (DT_RANK + 2 * D_STATE),
  }),
});

/** Parts of a row: dt_low, B, C. */
const PARTS = 3;

/**
 * Divides dt_low, B and C in x_dbl (rows, dt_rank + 2 d_state), each, by its root mean square.
 *
 * @param tensors rstd (rows, 3) is what each was multiplied by: scratch in inference, kept for the backward in training.
 */
export function dtBCNormFwd(
  program: Program,
  tensors: { x_dbl: Tensor; rstd: Tensor },
  shape: { rows: number; dt_rank: number; d_state: number; eps: number; label: string },
): void {
  const { rows, dt_rank, d_state, eps, label } = shape;
  program.add(dtBCNormFwdKernel, {
    tensors,
    overrides: { DT_RANK: dt_rank, D_STATE: d_state, EPS: eps },
    params: { rows },
    workgroups: rowsAndParts(rows),
    label,
  });
}

/** grad_x_dbl (rows, dt_rank + 2 d_state), of what the forward left in x_dbl, becomes that of what it was given. */
export function dtBCNormBwd(
  program: Program,
  tensors: { x_dbl: Tensor; rstd: Tensor; grad_x_dbl: Tensor },
  shape: { rows: number; dt_rank: number; d_state: number; label: string },
): void {
  const { rows, dt_rank, d_state, label } = shape;
  program.add(dtBCNormBwdKernel, {
    tensors,
    overrides: { DT_RANK: dt_rank, D_STATE: d_state },
    params: { rows },
    workgroups: rowsAndParts(rows),
    label,
  });
}

function rowsAndParts(rows: number): [number, number, number] {
  const x = Math.min(rows, 65535);
  return [x, Math.ceil(rows / x), PARTS];
}
