/** conv1d_bwd: gradients of the depth-wise convolution, and the sums that follow it. */

import type { Program } from "../../gpu/program.ts";
import { spanOf } from "../../gpu/span.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/conv1d_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { sumPartials } from "../sum_partials.ts";
import { placeholders } from "../placeholders.ts";

/** The kernel. */
export const conv1dBwdKernel = defineKernel({
  name: "conv1d_bwd",
  source,
  preludes: ["_conv"],
  bindings: {
    x: "read",
    weight: "read",
    conv_state: "read",
    grad_y: "read",
    grad_final: "read",
    grad_x: "write",
    grad_conv_state: "write",
    grad_params: "write",
  },
  params: {
    seqlen: "u32",
    ld_x: "u32",
    x_offset: "u32",
    ld_grad_x: "u32",
    grad_x_offset: "u32",
    segment: "u32",
    bias_start: "u32",
    grad_bias_start: "u32",
  },
  overrides: ["D_INNER", "D_CONV", "BIAS", "GRAD_FINAL"],
  sizes: (values, [, segments, batch]) => {
    const { D_INNER, D_CONV, BIAS, GRAD_FINAL, seqlen, ld_x, x_offset } = values;
    const { ld_grad_x, grad_x_offset, bias_start, grad_bias_start } = values;
    const window = batch * D_INNER * D_CONV;
    return {
      x: x_offset + (batch * seqlen - 1) * ld_x + D_INNER,
      weight: BIAS ? bias_start + D_INNER : D_INNER * D_CONV,
      conv_state: window,
      grad_y: batch * seqlen * D_INNER,
      grad_final: GRAD_FINAL * window,
      grad_x: grad_x_offset + (batch * seqlen - 1) * ld_grad_x + D_INNER,
      grad_conv_state: window,
      grad_params: grad_bias_start + batch * segments * D_INNER,
    };
  },
});

/** Taps that a lane of the kernel keeps in registers. */
const MAX_D_CONV = 32;

/** Parts that the sums of grad_weight and grad_bias are at most made of, unless the batch is larger. */
const MAX_PARTS = 512;

/** A shorter segment would spend its time on the steps that it shares with the next. */
const MIN_SEGMENT = 32;

/** Views of a tensor start at multiples of 256 bytes. */
const VIEW_ALIGNMENT = 64;

/** Sizes of a convolution's batch. */
export interface Conv1dShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly d_inner: number;
  readonly d_conv: number;
}

/**
 * Elements of the scratch tensor that conv1dBwd() needs; all layers of a model can share it.
 *
 * @throws {RangeError} If d_conv is above 32.
 */
export function conv1dBwdScratch(shape: Conv1dShape): number {
  const { parts, grad_bias_start } = split(shape);
  return grad_bias_start + parts * shape.d_inner;
}

/**
 * Gradients of conv1dFwd(), from grad_y (batch, seqlen, d_inner), that of the output after SiLU.
 *
 * conv_state (batch, d_inner, d_conv) is the window before the forward, which moves its own on: keep a copy.
 * grad_final, of the window after the forward, is zeros when absent; grad_conv_state, of the window before, is another
 * tensor, as workgroups still read the one while others write the other.
 * grad_weight (d_inner, d_conv) and grad_bias (d_inner) are written, or added to. bias lies behind weight in one buffer.
 *
 * @param shape Step t of x, counted through the batch, starts at element `xOffset + t * ldX`, and that of grad_x at
 * `gradXOffset + t * ldGradX` (default: steps lie back to back); `accumulate` (default false) adds to grad_weight and
 * grad_bias.
 * @throws {RangeError} If d_conv is above 32.
 */
export function conv1dBwd(
  program: Program,
  tensors: {
    x: Tensor;
    weight: Tensor;
    bias?: Tensor | undefined;
    conv_state: Tensor;
    grad_y: Tensor;
    grad_final?: Tensor | undefined;
    grad_x: Tensor;
    grad_conv_state: Tensor;
    grad_weight: Tensor;
    grad_bias?: Tensor | undefined;
    /** Scratch: see {@linkcode conv1dBwdScratch}. */
    partials: Tensor;
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
  const { batch, seqlen, d_inner, d_conv, ldX = d_inner, ldGradX = d_inner, label } = shape;
  const { xOffset = 0, gradXOffset = 0, accumulate = false } = shape;
  const { weight, bias, grad_final, grad_weight, grad_bias, partials, ...bound } = tensors;
  const { segment, segments, parts, grad_bias_start } = split(shape);
  const weights = spanOf(program.gpu, `conv1d_bwd in ${label}`, {
    weight: [weight, d_inner * d_conv],
    bias: [bias, d_inner],
  });
  program.add(conv1dBwdKernel, {
    tensors: {
      ...bound,
      weight: weights.tensor,
      grad_final: grad_final ?? placeholders(program.gpu).read,
      grad_params: partials,
    },
    overrides: {
      D_INNER: d_inner,
      D_CONV: d_conv,
      BIAS: bias !== undefined,
      GRAD_FINAL: grad_final !== undefined,
    },
    params: {
      seqlen,
      ld_x: ldX,
      x_offset: xOffset,
      ld_grad_x: ldGradX,
      grad_x_offset: gradXOffset,
      segment,
      bias_start: weights.starts.bias,
      grad_bias_start,
    },
    workgroups: [Math.ceil(d_inner / 64), segments, batch],
    label,
  });
  sumPartials(
    program,
    { partials: partials.view(0, [parts, d_inner, d_conv]), y: grad_weight },
    { parts, size: d_inner * d_conv, accumulate, label: `${label}.grad_weight` },
  );
  if (grad_bias === undefined) return;
  sumPartials(
    program,
    { partials: partials.view(4 * grad_bias_start, [parts, d_inner]), y: grad_bias },
    { parts, size: d_inner, accumulate, label: `${label}.grad_bias` },
  );
}

/** How the steps are split into segments, and where the partials of bias begin. */
function split({ batch, seqlen, d_inner, d_conv }: Conv1dShape) {
  if (d_conv > MAX_D_CONV) {
    throw new RangeError(
      `Cannot train conv1d with d_conv ${d_conv}: training takes at most ${MAX_D_CONV}. Use a smaller d_conv`,
    );
  }
  const wanted = Math.max(1, Math.floor(MAX_PARTS / batch));
  const segment = Math.max(MIN_SEGMENT, 2 * d_conv, Math.ceil(seqlen / wanted));
  const segments = Math.ceil(seqlen / segment);
  const parts = batch * segments;
  const grad_bias_start = Math.ceil(parts * d_inner * d_conv / VIEW_ALIGNMENT) * VIEW_ALIGNMENT;
  return { segment, segments, parts, grad_bias_start };
}
