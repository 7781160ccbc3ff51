/** swiglu_bwd: the gradients of an MLP's gate. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** grad_x (rows, 2 width) from grad_y (rows, width). */
export function swigluBwd(
  program: CpuProgram,
  { x, grad_y, grad_x }: { x: CpuTensor; grad_y: CpuTensor; grad_x: CpuTensor },
  { rows, width, label }: { rows: number; width: number; label: string },
): void {
  requireSize(label, "x", x, 2 * rows * width);
  requireSize(label, "grad_y", grad_y, rows * width);
  requireSize(label, "grad_x", grad_x, 2 * rows * width);
  program.add({
    kind: OpKind.swiglu_bwd,
    items: rows,
    grain: rowsGrain(8 * width),
    args: [x.address, grad_y.address, grad_x.address, width],
    label,
  });
}
