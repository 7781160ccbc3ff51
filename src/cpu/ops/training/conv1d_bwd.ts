/** conv1d_bwd: gradients of the depth-wise convolution, and the sums that follow it. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { CHANNELS } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { sumPartials } from "./sum_partials.ts";

/** Rows of scratch memory behind what is needed: rows and taps go by fours. */
const SPARE = 4;

/** Sizes of a convolution's batch. */
export interface Conv1dShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly d_inner: number;
  readonly d_conv: number;
}

/** Elements of the scratch tensor that conv1dBwd() needs; all layers of a model can share it. */
export function conv1dBwdScratch({ batch, d_inner, d_conv }: Conv1dShape): number {
  return batch * d_inner * (d_conv + 1);
}

/**
 * Gradients of conv1dFwd(), from grad_y (batch, seqlen, d_inner), that of the output after SiLU.
 *
 * conv_state (batch, d_inner, d_conv) is the window before the forward, which moves its own on: keep a copy.
 * grad_final, of the window after the forward, is zeros when absent; grad_conv_state is that of the window before.
 * grad_weight (d_inner, d_conv) and grad_bias (d_inner) are written, or added to.
 *
 * @param shape Step t of x, counted through the batch, starts at element `xOffset + t * ldX`, and that of grad_x at
 * `gradXOffset + t * ldGradX` (default: steps lie back to back); `accumulate` (default false) adds to grad_weight and
 * grad_bias.
 */
export function conv1dBwd(
  program: CpuProgram,
  tensors: {
    x: CpuTensor;
    weight: CpuTensor;
    bias?: CpuTensor | undefined;
    conv_state: CpuTensor;
    grad_y: CpuTensor;
    grad_final?: CpuTensor | undefined;
    grad_x: CpuTensor;
    grad_conv_state: CpuTensor;
    grad_weight: CpuTensor;
    grad_bias?: CpuTensor | undefined;
    /** Scratch: see {@linkcode conv1dBwdScratch}. */
    partials: CpuTensor;
  },
  shape: Conv1dShape & {
    ldX?: number;
    xOffset?: number;
    ldGradX?: number;
    gradXOffset?: number;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { x, weight, bias, conv_state, grad_y, grad_final, grad_x, grad_conv_state } = tensors;
  const { grad_weight, grad_bias, partials } = tensors;
  const { batch, seqlen, d_inner, d_conv, ldX = d_inner, ldGradX = d_inner, label } = shape;
  const { xOffset = 0, gradXOffset = 0, accumulate = false } = shape;
  const window = batch * d_inner * d_conv;
  requireSize(label, "x", x, xOffset + (batch * seqlen - 1) * ldX + d_inner);
  requireSize(label, "weight", weight, d_inner * d_conv);
  if (bias !== undefined) requireSize(label, "bias", bias, d_inner);
  requireSize(label, "conv_state", conv_state, window);
  requireSize(label, "grad_y", grad_y, batch * seqlen * d_inner);
  if (grad_final !== undefined) requireSize(label, "grad_final", grad_final, window);
  requireSize(label, "grad_x", grad_x, gradXOffset + (batch * seqlen - 1) * ldGradX + d_inner);
  requireSize(label, "grad_conv_state", grad_conv_state, window);
  requireSize(label, "partials", partials, conv1dBwdScratch(shape));
  const ofWeight = partials.view(0, [window]);
  const ofBias = partials.view(4 * window, [batch * d_inner]);
  program.add({
    kind: OpKind.conv1d_bwd,
    items: batch * Math.ceil(d_inner / CHANNELS),
    grain: 1,
    args: [
      ...[x.address + xOffset * 4, ldX, weight.address, bias?.address ?? 0, conv_state.address],
      ...[grad_y.address, grad_final?.address ?? 0, grad_x.address + gradXOffset * 4, ldGradX],
      ...[grad_conv_state.address, ofWeight.address, ofBias.address, seqlen, d_inner, d_conv],
    ],
    scratchBytes: (4 * d_conv + 2 * seqlen + 2 * SPARE) * CHANNELS * 4,
    label,
  });
  sumPartials(program, { partials: ofWeight, y: grad_weight }, {
    ...{ parts: batch, size: d_inner * d_conv, accumulate, label: `${label}.grad_weight` },
  });
  if (grad_bias === undefined) return;
  sumPartials(program, { partials: ofBias, y: grad_bias }, {
    ...{ parts: batch, size: d_inner, accumulate, label: `${label}.grad_bias` },
  });
}
