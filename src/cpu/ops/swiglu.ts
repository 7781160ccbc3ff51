/** swiglu_fwd: the gate of an MLP. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** y (rows, width) = x silu(gate), of x (rows, 2 width): [x, gate]. */
export function swigluFwd(
  program: CpuProgram,
  { x, y }: { x: CpuTensor; y: CpuTensor },
  { rows, width, label }: { rows: number; width: number; label: string },
): void {
  requireSize(label, "x", x, 2 * rows * width);
  requireSize(label, "y", y, rows * width);
  program.add({
    kind: OpKind.swiglu_fwd,
    items: rows,
    grain: rowsGrain(4 * width),
    args: [x.address, y.address, width],
    label,
  });
}
