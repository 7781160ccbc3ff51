/** rms_norm_fwd: RMSNorm over the last dimension. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/**
 * y (rows, d_model) = RMSNorm(x) * weight.
 *
 * @param shape Row r of x starts at element `xOffset + r * ldX` (default: rows lie back to back).
 */
export function rmsNormFwd(
  program: CpuProgram,
  tensors: { x: CpuTensor; weight: CpuTensor; y: CpuTensor },
  shape: {
    rows: number;
    d_model: number;
    eps: number;
    ldX?: number;
    xOffset?: number;
    label: string;
  },
): void {
  const { x, weight, y } = tensors;
  const { rows, d_model, eps, ldX = d_model, xOffset = 0, label } = shape;
  requireSize(label, "x", x, xOffset + (rows - 1) * ldX + d_model);
  requireSize(label, "weight", weight, d_model);
  requireSize(label, "y", y, rows * d_model);
  program.add({
    kind: OpKind.rms_norm_fwd,
    items: rows,
    grain: rowsGrain(d_model),
    args: [x.address + xOffset * 4, ldX, weight.address, y.address, d_model, floatBits(eps)],
    label,
  });
}
