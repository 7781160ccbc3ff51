/** Sums over Mamba-2's states, for the gradients of D, dt and A. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import sumsSource from "../../../kernels/ssd_sums_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { chunkSizes, type SsdShape } from "../ssd.ts";
import type { SsdOptions } from "../../model/ssd_sizes.ts";
import { chunkCount, layoutOfSums, sizeOverrides } from "./ssd_bwd_layout.ts";

/** The gradient of D, and products of states, for those of dt and A. */
export const ssdSumsBwdKernel = defineKernel({
  name: "ssd_sums_bwd",
  source: sumsSource,
  bindings: {
    xBC: "read",
    grad_y: "read",
    ssm_state: "read",
    grad_states: "read",
    sums: "write",
    partials: "write",
  },
  params: { seqlen: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "D_HAS_HDIM"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, D_STATE, D_HAS_HDIM, start } = values;
    const { rows, d_inner, conv_dim } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      grad_y: rows * d_inner,
      ssm_state: batch * (chunks + 1) * d_inner * D_STATE,
      grad_states: batch * chunks * d_inner * D_STATE,
      sums: start + batch * chunks * NHEADS,
      partials: batch * chunks * (D_HAS_HDIM ? d_inner : NHEADS),
    };
  },
});

/** Partials of D's gradient (batch, chunks, ...), and sums over states for ssdDtBwd(). */
export function ssdSumsBwd(
  program: Program,
  tensors: {
    xBC: Tensor;
    grad_y: Tensor;
    ssm_state: Tensor;
    grad_states: Tensor;
    sums: Tensor;
    partials: Tensor;
  },
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { batch, seqlen, nheads, D_has_hdim = false, label } = shape;
  program.add(ssdSumsBwdKernel, {
    tensors,
    overrides: { ...sizeOverrides(shape), D_HAS_HDIM: D_has_hdim },
    params: { seqlen, start: layoutOfSums(shape).state },
    workgroups: [nheads, chunkCount(shape), batch],
    label: `${label}.sums`,
  });
}
