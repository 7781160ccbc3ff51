/** rms_norm_bwd: the gradients of RMSNorm. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { MAX_PARTS } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { sumPartials } from "./sum_partials.ts";

/** Number of rows of partials (parts, d_model) that {@linkcode rmsNormBwd} needs for `rows` rows. */
export function rmsNormBwdParts(rows: number): number {
  return Math.ceil(rows / rowsPerPart(rows));
}

function rowsPerPart(rows: number): number {
  return Math.ceil(rows / MAX_PARTS);
}

/**
 * grad_x (rows, d_model) and grad_weight (d_model) of y = rmsNormFwd(x, weight), from grad_y (rows, d_model).
 *
 * @param tensors `partials` is scratch of at least ({@linkcode rmsNormBwdParts}(rows), d_model).
 * @param shape Row r of x starts at element `xOffset + r * ldX` (default: rows lie back to back). `accumulateX` adds
 * to grad_x, the residual stream's gradient; `accumulateWeight` adds to grad_weight. Default: both are overwritten.
 */
export function rmsNormBwd(
  program: CpuProgram,
  tensors: {
    x: CpuTensor;
    weight: CpuTensor;
    grad_y: CpuTensor;
    grad_x: CpuTensor;
    partials: CpuTensor;
    grad_weight: CpuTensor;
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
  const { x, weight, grad_y, grad_x, partials, grad_weight } = tensors;
  const { rows, d_model, eps, ldX = d_model, xOffset = 0, label } = shape;
  const { accumulateX = false, accumulateWeight = false } = shape;
  const parts = rmsNormBwdParts(rows);
  requireSize(label, "x", x, xOffset + (rows - 1) * ldX + d_model);
  requireSize(label, "weight", weight, d_model);
  requireSize(label, "grad_y", grad_y, rows * d_model);
  requireSize(label, "grad_x", grad_x, rows * d_model);
  requireSize(label, "partials", partials, parts * d_model);
  program.add({
    kind: OpKind.rms_norm_bwd,
    items: parts,
    grain: 1,
    args: [
      ...[x.address + xOffset * 4, ldX, weight.address, grad_y.address, grad_x.address],
      ...[partials.address, rows, d_model, floatBits(eps), rowsPerPart(rows)],
      Number(accumulateX),
    ],
    label,
  });
  sumPartials(program, { partials, y: grad_weight }, {
    ...{ parts, size: d_model, accumulate: accumulateWeight, label },
  });
}
