/** rms_norm_bwd: the gradients of RMSNorm. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/rms_norm_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { sumPartials } from "../sum_partials.ts";

/** The kernel. */
export const rmsNormBwdKernel = defineKernel({
  name: "rms_norm_bwd",
  source,
  bindings: { x: "read", weight: "read", grad_y: "read", grad_x: "read_write", partials: "write" },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", rows_per_part: "u32" },
  overrides: ["D_MODEL", "EPS", "ACCUMULATE"],
  sizes: ({ D_MODEL, rows, ld_x, x_offset }, [parts]) => ({
    x: x_offset + (rows - 1) * ld_x + D_MODEL,
    weight: D_MODEL,
    grad_y: rows * D_MODEL,
    grad_x: rows * D_MODEL,
    partials: parts * D_MODEL,
  }),
});

/** The kernel's tile of rows. */
const TILE = 16;

/** Enough workgroups for a large device, and few enough that adding up their partials costs little. */
const MAX_PARTS = 1024;

function rowsPerPart(rows: number): number {
  return Math.ceil(rows / (TILE * MAX_PARTS)) * TILE;
}

/** Number of rows of partials (parts, d_model) that {@linkcode rmsNormBwd} needs for `rows` rows: at most 1024. */
export function rmsNormBwdParts(rows: number): number {
  return Math.ceil(rows / rowsPerPart(rows));
}

/**
 * grad_x (rows, d_model) and grad_weight (d_model) of y = rmsNormFwd(x, weight), from grad_y (rows, d_model).
 *
 * @param tensors `partials` is scratch of at least ({@linkcode rmsNormBwdParts}(rows), d_model).
 * @param shape Row r of x starts at element `xOffset + r * ldX` (default: rows lie back to back). `accumulateX` adds
 * to grad_x, the residual stream's gradient; `accumulateWeight` adds to grad_weight. Default: both are overwritten.
 */
export function rmsNormBwd(
  program: Program,
  tensors: {
    x: Tensor;
    weight: Tensor;
    grad_y: Tensor;
    grad_x: Tensor;
    partials: Tensor;
    grad_weight: Tensor;
  },
  shape: {
    rows: number;
    d_model: number;
    eps: number;
    ldX?: number;
    xOffset?: number;
    accumulateX?: boolean;
    accumulateWeight?: boolean;
    label: string;
  },
): void {
  const { rows, d_model, eps, ldX = d_model, xOffset = 0, label } = shape;
  const { x, weight, grad_y, grad_x, partials, grad_weight } = tensors;
  const parts = rmsNormBwdParts(rows);
  program.add(rmsNormBwdKernel, {
    tensors: { x, weight, grad_y, grad_x, partials },
    overrides: { D_MODEL: d_model, EPS: eps, ACCUMULATE: shape.accumulateX ?? false },
    params: { rows, ld_x: ldX, x_offset: xOffset, rows_per_part: rowsPerPart(rows) },
    workgroups: [parts, 1, 1],
    label,
  });
  sumPartials(program, { partials, y: grad_weight }, {
    parts,
    size: d_model,
    accumulate: shape.accumulateWeight ?? false,
    label,
  });
}
