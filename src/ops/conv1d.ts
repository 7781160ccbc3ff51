/** conv1d_fwd: depth-wise causal convolution with SiLU, from any window of past inputs. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/conv1d_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel. */
export const conv1dFwdKernel = defineKernel({
  name: "conv1d_fwd",
  source,
  preludes: ["_conv"],
  bindings: { x: "read", weight: "read", bias: "read", conv_state: "read_write", y: "write" },
  params: { seqlen: "u32", ld_x: "u32", x_offset: "u32" },
  overrides: ["D_INNER", "D_CONV", "BIAS", "TILE"],
  sizes: ({ D_INNER, D_CONV, BIAS, seqlen, ld_x, x_offset }, [, , batch]) => ({
    x: x_offset + (batch * seqlen - 1) * ld_x + D_INNER,
    weight: D_INNER * D_CONV,
    bias: BIAS * D_INNER,
    conv_state: batch * D_INNER * D_CONV,
    y: batch * seqlen * D_INNER,
  }),
});

/** Steps a lane computes; more where the window is long, which each lane has to read first. */
const TILE = 32;

/**
 * y (batch, seqlen, d_inner) = silu(conv1d(x)), and conv_state (batch, d_inner, d_conv) moves on by seqlen inputs.
 *
 * @param shape Step t of x, counted through the batch, starts at element `xOffset + t * ldX` (default: steps lie back to
 * back).
 */
export function conv1dFwd(
  program: Program,
  tensors: { x: Tensor; weight: Tensor; bias?: Tensor | undefined; conv_state: Tensor; y: Tensor },
  shape: {
    batch: number;
    seqlen: number;
    d_inner: number;
    d_conv: number;
    ldX?: number;
    xOffset?: number;
    label: string;
  },
): void {
  const { batch, seqlen, d_inner, d_conv, ldX = d_inner, xOffset = 0, label } = shape;
  const tile = Math.max(TILE, 2 * d_conv);
  program.add(conv1dFwdKernel, {
    tensors: { ...tensors, bias: tensors.bias ?? placeholders(program.gpu).read },
    overrides: {
      D_INNER: d_inner,
      D_CONV: d_conv,
      BIAS: tensors.bias !== undefined,
      TILE: tile,
    },
    params: { seqlen, ld_x: ldX, x_offset: xOffset },
    workgroups: [Math.ceil(d_inner / 64), Math.ceil(seqlen / tile), batch],
    label,
  });
}
