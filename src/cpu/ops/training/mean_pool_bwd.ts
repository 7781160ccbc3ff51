/** mean_pool_bwd: the gradient of a pooled sequence, for its mean and for its last step. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Sizes of a pooled sequence. */
export interface PoolBwdShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly d_model: number;
  /** Layer and op. */
  readonly label: string;
}

/**
 * grad_x (batch, seqlen, d_model) of the mean after the last step, from that mean's gradient grad_y (batch, d_model).
 *
 * @param shape `count` is the number of steps that pool_state had seen before these. Default: 0.
 */
export function meanPoolBwd(
  program: CpuProgram,
  tensors: { grad_y: CpuTensor; grad_x: CpuTensor },
  shape: PoolBwdShape & { readonly count?: number },
): void {
  record(program, tensors, shape, 1 / ((shape.count ?? 0) + shape.seqlen));
}

/** grad_x (batch, seqlen, d_model) of the last step alone, from its gradient grad_y (batch, d_model): zeros before it. */
export function lastStepBwd(
  program: CpuProgram,
  tensors: { grad_y: CpuTensor; grad_x: CpuTensor },
  shape: PoolBwdShape,
): void {
  record(program, tensors, shape, undefined);
}

function record(
  program: CpuProgram,
  { grad_y, grad_x }: { grad_y: CpuTensor; grad_x: CpuTensor },
  { batch, seqlen, d_model, label }: PoolBwdShape,
  scale: number | undefined,
): void {
  requireSize(label, "grad_y", grad_y, batch * d_model);
  requireSize(label, "grad_x", grad_x, batch * seqlen * d_model);
  program.add({
    kind: OpKind.mean_pool_bwd,
    items: batch * seqlen,
    grain: rowsGrain(d_model),
    args: [
      ...[grad_y.address, grad_x.address, seqlen, d_model, floatBits(scale ?? 1)],
      Number(scale !== undefined),
    ],
    label,
  });
}
