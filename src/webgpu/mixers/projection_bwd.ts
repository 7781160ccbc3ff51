/** The backward of a block's two ends, which every mixer has: out_proj, and the norm with in_proj. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../../ops/training/linear_bwd.ts";
import type { Matrix } from "../../ops/matrix.ts";
import { rmsNormFwd } from "../../ops/rms_norm.ts";
import { rmsNormBwd } from "../../ops/training/rms_norm_bwd.ts";
import type { TrainingActivations } from "../training_activations.ts";
import type { ModelConfig } from "../../model/config/config.ts";

/** A linear layer's parameters, or their gradients. */
interface Projection {
  readonly weight: Matrix;
  readonly bias: Tensor | undefined;
}

/** Records the gradients of out_proj, and of what it read, `x` (rows, d_inner), into `grad_x`. */
export function outProjBwd(
  program: Program,
  { shape, partials }: TrainingActivations,
  { x, grad_y, grad_x, weight, gradients }: {
    readonly x: Tensor;
    readonly grad_y: Tensor;
    readonly grad_x: Tensor;
    readonly weight: Matrix;
    readonly gradients: Projection;
  },
  label: string,
): void {
  const rows = shape.batch * shape.seqlen;
  projectionBwdW(program, { x, grad_y, partials, gradients }, { rows, label });
  matmulBwdX(program, { grad_y, weight, grad_x }, { rows, label });
}

/**
 * Records the gradients of in_proj and of the norm before it. training.grad.residual holds the gradient of the block's
 * output, and then that of its input.
 *
 * @param tensors `input` is the residual stream before the block, `grad_y` the gradient of in_proj's output.
 */
export function inProjBwd(
  program: Program,
  { d_model, norm_epsilon: eps }: ModelConfig,
  { shape, normed, partials, grad }: TrainingActivations,
  { input, grad_y, norm, grad_norm, weight, gradients }: {
    readonly input: Tensor;
    readonly grad_y: Tensor;
    readonly norm: Tensor;
    readonly grad_norm: Tensor;
    readonly weight: Matrix;
    readonly gradients: Projection;
  },
  label: string,
): void {
  const rows = shape.batch * shape.seqlen;
  const own = { rows, label: `${label}.mixer.in_proj_bwd` };
  // The norm's output was not kept: it takes as long to read as to compute.
  const normTensors = { x: input, weight: norm, y: normed };
  rmsNormFwd(program, normTensors, { rows, d_model, eps, label: `${label}.norm` });
  projectionBwdW(program, { x: normed, grad_y, partials, gradients }, own);
  matmulBwdX(program, { grad_y, weight, grad_x: grad.normed }, own);
  rmsNormBwd(
    program,
    {
      x: input,
      weight: norm,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: grad_norm,
    },
    { rows, d_model, eps, accumulateX: true, label: `${label}.norm_bwd` },
  );
}

function projectionBwdW(
  program: Program,
  { x, grad_y, partials, gradients }: {
    readonly x: Tensor;
    readonly grad_y: Tensor;
    readonly partials: Tensor;
    readonly gradients: Projection;
  },
  { rows, label }: { readonly rows: number; readonly label: string },
): void {
  const { weight, bias } = gradients;
  matmulBwdW(program, { grad_y, x, grad_weight: weight, partials }, { rows, label });
  if (bias === undefined) return;
  columnSum(program, { x: grad_y, partials, y: bias }, { rows, columns: weight.rows, label });
}
