/** conv1d_fwd: depth-wise causal convolution with SiLU, from any window of past inputs. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { CHANNELS, rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Steps that lie in scratch memory at a time. */
const TILE = 32;

/**
 * y (batch, seqlen, d_inner) = silu(conv1d(x)), and conv_state (batch, d_inner, d_conv) moves on by seqlen inputs.
 *
 * @param shape Step t of x, counted through the batch, starts at element `xOffset + t * ldX` (default: steps lie back to
 * back).
 */
export function conv1dFwd(
  program: CpuProgram,
  tensors: {
    x: CpuTensor;
    weight: CpuTensor;
    bias?: CpuTensor | undefined;
    conv_state: CpuTensor;
    y: CpuTensor;
  },
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
  const { x, weight, bias, conv_state, y } = tensors;
  const { batch, seqlen, d_inner, d_conv, ldX = d_inner, xOffset = 0, label } = shape;
  requireSize(label, "x", x, xOffset + (batch * seqlen - 1) * ldX + d_inner);
  requireSize(label, "weight", weight, d_inner * d_conv);
  if (bias !== undefined) requireSize(label, "bias", bias, d_inner);
  requireSize(label, "conv_state", conv_state, batch * d_inner * d_conv);
  requireSize(label, "y", y, batch * seqlen * d_inner);
  program.add({
    kind: OpKind.conv1d_fwd,
    items: batch * Math.ceil(d_inner / CHANNELS),
    grain: rowsGrain(CHANNELS * seqlen * d_conv),
    args: [
      ...[x.address + xOffset * 4, ldX, weight.address, bias?.address ?? 0, conv_state.address],
      ...[y.address, seqlen, d_inner, d_conv],
    ],
    scratchBytes: (2 * d_conv + TILE) * CHANNELS * 4,
    label,
  });
}
