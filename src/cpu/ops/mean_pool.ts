/** mean_pool_fwd: running mean over time. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { CHANNELS, rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** y (batch, seqlen, d_model): the mean of x so far, after each step; pool_state (batch, 2, d_model) moves on. */
export function meanPoolFwd(
  program: CpuProgram,
  tensors: { x: CpuTensor; pool_state: CpuTensor; y: CpuTensor },
  shape: { batch: number; seqlen: number; d_model: number; label: string },
): void {
  const { x, pool_state, y } = tensors;
  const { batch, seqlen, d_model, label } = shape;
  requireSize(label, "x", x, batch * seqlen * d_model);
  requireSize(label, "pool_state", pool_state, batch * 2 * d_model);
  requireSize(label, "y", y, batch * seqlen * d_model);
  program.add({
    kind: OpKind.mean_pool_fwd,
    items: batch * Math.ceil(d_model / CHANNELS),
    grain: rowsGrain(CHANNELS * seqlen),
    args: [x.address, pool_state.address, y.address, seqlen, d_model],
    label,
  });
}
