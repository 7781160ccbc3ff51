/** mean_pool_bwd: the gradient of a pooled sequence, for its mean and for its last step. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/mean_pool_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel. */
export const meanPoolBwdKernel = defineKernel({
  name: "mean_pool_bwd",
  source,
  bindings: { grad_y: "read", grad_x: "write" },
  params: { batch: "u32", seqlen: "u32", scale: "f32" },
  overrides: ["D_MODEL", "MEAN"],
  sizes: ({ D_MODEL, batch, seqlen }) => ({
    grad_y: batch * D_MODEL,
    grad_x: batch * seqlen * D_MODEL,
  }),
});

/** Lanes of a workgroup. */
const LANES = 256;

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
  program: Program,
  tensors: { grad_y: Tensor; grad_x: Tensor },
  shape: PoolBwdShape & { readonly count?: number },
): void {
  record(program, tensors, shape, 1 / ((shape.count ?? 0) + shape.seqlen));
}

/** grad_x (batch, seqlen, d_model) of the last step alone, from its gradient grad_y (batch, d_model): zeros before it. */
export function lastStepBwd(
  program: Program,
  tensors: { grad_y: Tensor; grad_x: Tensor },
  shape: PoolBwdShape,
): void {
  record(program, tensors, shape, undefined);
}

function record(
  program: Program,
  tensors: { grad_y: Tensor; grad_x: Tensor },
  { batch, seqlen, d_model, label }: PoolBwdShape,
  scale: number | undefined,
): void {
  program.add(meanPoolBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, MEAN: scale !== undefined },
    params: { batch, seqlen, scale: scale ?? 1 },
    workgroups: foldWorkgroups(Math.ceil(batch * seqlen * d_model / LANES)),
    label,
  });
}
