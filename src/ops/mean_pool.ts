/** mean_pool_fwd: running mean over time. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/mean_pool_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";

/** The kernel. */
export const meanPoolFwdKernel = defineKernel({
  name: "mean_pool_fwd",
  source,
  bindings: { x: "read", pool_state: "read_write", y: "write" },
  params: { batch: "u32", seqlen: "u32" },
  overrides: ["D_MODEL"],
  sizes: ({ D_MODEL, batch, seqlen }) => ({
    x: batch * seqlen * D_MODEL,
    pool_state: batch * 2 * D_MODEL,
    y: batch * seqlen * D_MODEL,
  }),
});

/** y (batch, seqlen, d_model): the mean of x so far, after each step; pool_state (batch, 2, d_model) moves on. */
export function meanPoolFwd(
  program: Program,
  tensors: { x: Tensor; pool_state: Tensor; y: Tensor },
  shape: { batch: number; seqlen: number; d_model: number; label: string },
): void {
  const { batch, seqlen, d_model, label } = shape;
  program.add(meanPoolFwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model },
    params: { batch, seqlen },
    workgroups: [Math.ceil(d_model / 64), batch, 1],
    label,
  });
}
