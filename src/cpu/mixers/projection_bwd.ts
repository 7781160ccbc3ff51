/** The backward of a block's two ends, which every mixer has: out_proj, and the norm with in_proj. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { CpuMatrix } from "../matrix.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../ops/training/linear_bwd.ts";
import { rmsNormBwd } from "../ops/training/rms_norm_bwd.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import type { TrainingActivations } from "../training_activations.ts";

/** A linear layer's parameters, or their gradients. */
interface Projection {
  readonly weight: CpuMatrix;
  readonly bias: CpuTensor | undefined;
}

/** Records the gradients of out_proj, and of what it read, `x` (rows, d_inner), into `grad_x`. */
export function outProjBwd(
  program: CpuProgram,
  tensors: {
    readonly x: CpuTensor;
    readonly grad_y: CpuTensor;
    readonly grad_x: CpuTensor;
    readonly weight: CpuMatrix;
    readonly gradients: Projection;
  },
  shape: { readonly rows: number; readonly label: string },
): void {
  const { grad_y, grad_x, weight } = tensors;
  projectionBwdW(program, tensors, shape);
  matmulBwdX(program, { grad_y, weight, grad_x }, shape);
}

/**
 * Records the gradients of in_proj and of the norm before it. training.grad.residual holds the gradient of the block's
 * output, and then that of its input.
 *
 * @param tensors `input` is the residual stream before the block, `normed` the norm of it, `grad_y` the gradient of
 * in_proj's output.
 */
export function inProjBwd(
  program: CpuProgram,
  { d_model, norm_epsilon: eps }: ModelConfig,
  { shape, partials, grad }: TrainingActivations,
  { input, normed, grad_y, norm, grad_norm, weight, gradients }: {
    readonly input: CpuTensor;
    readonly normed: CpuTensor;
    readonly grad_y: CpuTensor;
    readonly norm: CpuTensor;
    readonly grad_norm: CpuTensor;
    readonly weight: CpuMatrix;
    readonly gradients: Projection;
  },
  label: string,
): void {
  const rows = shape.batch * shape.seqlen;
  const own = { rows, label: `${label}.mixer.in_proj_bwd` };
  projectionBwdW(program, { x: normed, grad_y, gradients }, own);
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
  program: CpuProgram,
  { x, grad_y, gradients: { weight, bias } }: {
    readonly x: CpuTensor;
    readonly grad_y: CpuTensor;
    readonly gradients: Projection;
  },
  { rows, label }: { readonly rows: number; readonly label: string },
): void {
  matmulBwdW(program, { grad_y, x, grad_weight: weight }, { rows, label });
  if (bias !== undefined) {
    columnSum(program, { x: grad_y, y: bias }, { rows, columns: weight.rows, label });
  }
}
