/** rms_norm_fwd: RMSNorm over the last dimension. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/rms_norm_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel. */
export const rmsNormFwdKernel = defineKernel({
  name: "rms_norm_fwd",
  source,
  bindings: { x: "read", weight: "read", y: "write" },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32" },
  overrides: ["D_MODEL", "EPS", "ROW_LANES"],
  sizes: ({ D_MODEL, rows, ld_x, x_offset }) => ({
    x: x_offset + (rows - 1) * ld_x + D_MODEL,
    weight: D_MODEL,
    y: rows * D_MODEL,
  }),
});

/** Lanes of a workgroup. */
const LANES = 128;

/** Elements of a row up to which a quarter of the lanes are enough. */
const SHORT_ROW = 512;

/**
 * Lanes that have a row. A short one does not keep many busy. However many rows there are: the sums of each are those
 * that it has alone.
 */
export function normLanes(d_model: number): number {
  return d_model <= SHORT_ROW ? 32 : LANES;
}

/**
 * y (rows, d_model) = RMSNorm(x) * weight.
 *
 * @param shape Row r of x starts at element `xOffset + r * ldX` (default: rows lie back to back).
 */
export function rmsNormFwd(
  program: Program,
  tensors: { x: Tensor; weight: Tensor; y: Tensor },
  shape: {
    rows: number;
    d_model: number;
    eps: number;
    ldX?: number;
    xOffset?: number;
    label: string;
  },
): void {
  const { rows, d_model, eps, ldX = d_model, xOffset = 0, label } = shape;
  const rowLanes = normLanes(d_model);
  program.add(rmsNormFwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, EPS: eps, ROW_LANES: rowLanes },
    params: { rows, ld_x: ldX, x_offset: xOffset },
    workgroups: foldWorkgroups(Math.ceil(rows * rowLanes / LANES)),
    label,
  });
}
