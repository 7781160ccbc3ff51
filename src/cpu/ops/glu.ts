/** glu_fwd and glu_bwd: the gated linear unit, whose rows are [value, gate]. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** y (rows, d_model) = value * sigmoid(gate), of x (rows, [value, gate]), or that is added to it. */
export function gluFwd(
  program: CpuProgram,
  { x, y }: { x: CpuTensor; y: CpuTensor },
  shape: { rows: number; d_model: number; accumulate?: boolean; label: string },
): void {
  const { rows, d_model, accumulate = false, label } = shape;
  requireSize(label, "x", x, 2 * rows * d_model);
  requireSize(label, "y", y, rows * d_model);
  program.add({
    kind: OpKind.glu_fwd,
    items: rows,
    grain: rowsGrain(2 * d_model),
    args: [x.address, y.address, d_model, Number(accumulate)],
    label,
  });
}

/** x (rows, [value, gate]), as gluFwd() has it, becomes its gradient, of that of its y. */
export function gluBwd(
  program: CpuProgram,
  { grad_y, x }: { grad_y: CpuTensor; x: CpuTensor },
  { rows, d_model, label }: { rows: number; d_model: number; label: string },
): void {
  requireSize(label, "grad_y", grad_y, rows * d_model);
  requireSize(label, "x", x, 2 * rows * d_model);
  program.add({
    kind: OpKind.glu_bwd,
    items: rows,
    grain: rowsGrain(2 * d_model),
    args: [grad_y.address, x.address, d_model],
    label,
  });
}
