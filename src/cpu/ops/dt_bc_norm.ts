/** dt_bc_norm_fwd: FalconMamba's norms of dt_low, B and C. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Divides dt_low, B and C in x_dbl (rows, dt_rank + 2 d_state), each, by its root mean square. */
export function dtBCNormFwd(
  program: CpuProgram,
  { x_dbl }: { x_dbl: CpuTensor },
  shape: { rows: number; dt_rank: number; d_state: number; eps: number; label: string },
): void {
  const { rows, dt_rank, d_state, eps, label } = shape;
  const width = dt_rank + 2 * d_state;
  requireSize(label, "x_dbl", x_dbl, rows * width);
  program.add({
    kind: OpKind.dt_bc_norm_fwd,
    items: rows,
    grain: rowsGrain(width),
    args: [x_dbl.address, dt_rank, d_state, floatBits(eps)],
    label,
  });
}
