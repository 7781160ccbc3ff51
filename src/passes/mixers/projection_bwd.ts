/** The backward of a block's two ends, which every mixer has: out_proj, and the norm with in_proj. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { TrainingActivations } from "../training/activations.ts";

/** A linear layer's parameters, or their gradients. */
interface Projection<K extends PassKinds> {
  readonly weight: K["matrix"];
  readonly bias: K["tensor"] | undefined;
}

/** Records the gradients of out_proj, and of what it read, `x` (rows, d_inner), into `grad_x`. */
export function outProjBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { shape, partials }: TrainingActivations<K>,
  { x, grad_y, grad_x, weight, gradients }: {
    readonly x: K["tensor"];
    readonly grad_y: K["tensor"];
    readonly grad_x: K["tensor"];
    readonly weight: K["matrix"];
    readonly gradients: Projection<K>;
  },
  label: string,
): void {
  const rows = shape.batch * shape.seqlen;
  projectionBwdW(ops, program, { x, grad_y, partials, gradients }, { rows, label });
  ops.matmulBwdX(program, { grad_y, weight, grad_x }, { rows, label });
}

/**
 * Records the gradients of in_proj and of the norm before it. training.grad.residual holds the gradient of the block's
 * output, and then that of its input.
 *
 * @param tensors `input` is the residual stream before the block, `normed` the norm of it or a place for that, `grad_y` the gradient of
 * in_proj's output.
 */
export function inProjBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { d_model, norm_epsilon: eps }: ModelConfig,
  { shape, partials, grad }: TrainingActivations<K>,
  { input, normed, grad_y, norm, grad_norm, weight, gradients }: {
    readonly input: K["tensor"];
    readonly normed: K["tensor"];
    readonly grad_y: K["tensor"];
    readonly norm: K["tensor"];
    readonly grad_norm: K["tensor"];
    readonly weight: K["matrix"];
    readonly gradients: Projection<K>;
  },
  label: string,
): void {
  const rows = shape.batch * shape.seqlen;
  const own = { rows, label: `${label}.mixer.in_proj_bwd` };
  if (ops.recomputes) {
    const normTensors = { x: input, weight: norm, y: normed };
    ops.rmsNormFwd(program, normTensors, { rows, d_model, eps, label: `${label}.norm` });
  }
  projectionBwdW(ops, program, { x: normed, grad_y, partials, gradients }, own);
  ops.matmulBwdX(program, { grad_y, weight, grad_x: grad.normed }, own);
  ops.rmsNormBwd(
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

function projectionBwdW<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { x, grad_y, partials, gradients }: {
    readonly x: K["tensor"];
    readonly grad_y: K["tensor"];
    readonly partials: K["tensor"];
    readonly gradients: Projection<K>;
  },
  { rows, label }: { readonly rows: number; readonly label: string },
): void {
  const { weight, bias } = gradients;
  ops.matmulBwdW(program, { grad_y, x, grad_weight: weight, partials }, { rows, label });
  if (bias === undefined) return;
  ops.columnSum(program, { x: grad_y, partials, y: bias }, { rows, columns: weight.rows, label });
}
