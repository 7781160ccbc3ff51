/** dt_bc_norm_fwd and dt_bc_norm_bwd: FalconMamba's norms of dt_low, B and C. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Parts of a row: dt_low, B, C. */
const PARTS = 3;

/**
 * Divides dt_low, B and C in x_dbl (rows, dt_rank + 2 d_state), each, by its root mean square.
 *
 * @param tensors rstd (rows, 3), where it is there, gets what each was multiplied by, for the backward.
 */
export function dtBCNormFwd(
  program: CpuProgram,
  { x_dbl, rstd }: { x_dbl: CpuTensor; rstd?: CpuTensor | undefined },
  shape: { rows: number; dt_rank: number; d_state: number; eps: number; label: string },
): void {
  const { rows, dt_rank, d_state, eps, label } = shape;
  const width = dt_rank + 2 * d_state;
  requireSize(label, "x_dbl", x_dbl, rows * width);
  if (rstd !== undefined) requireSize(label, "rstd", rstd, rows * PARTS);
  program.add({
    kind: OpKind.dt_bc_norm_fwd,
    items: rows,
    grain: rowsGrain(width),
    args: [x_dbl.address, dt_rank, d_state, floatBits(eps), rstd?.address ?? 0],
    label,
  });
}

/** grad_x_dbl (rows, dt_rank + 2 d_state), of what the forward left in x_dbl, becomes that of what it was given. */
export function dtBCNormBwd(
  program: CpuProgram,
  { x_dbl, rstd, grad_x_dbl }: { x_dbl: CpuTensor; rstd: CpuTensor; grad_x_dbl: CpuTensor },
  shape: { rows: number; dt_rank: number; d_state: number; label: string },
): void {
  const { rows, dt_rank, d_state, label } = shape;
  const width = dt_rank + 2 * d_state;
  requireSize(label, "x_dbl", x_dbl, rows * width);
  requireSize(label, "rstd", rstd, rows * PARTS);
  requireSize(label, "grad_x_dbl", grad_x_dbl, rows * width);
  program.add({
    kind: OpKind.dt_bc_norm_bwd,
    items: rows,
    grain: rowsGrain(2 * width),
    args: [x_dbl.address, rstd.address, grad_x_dbl.address, dt_rank, d_state],
    label,
  });
}
