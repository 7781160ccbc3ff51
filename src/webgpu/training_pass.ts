/** A training pass: forward with the kernels of inference, loss, and backward, recorded as one program. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { logitCount, poolsMean } from "../model/ends.ts";
import { crossEntropy } from "../ops/training/cross_entropy.ts";
import { embeddingBwd } from "../ops/training/embedding_bwd.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../ops/training/linear_bwd.ts";
import { lastStepBwd, meanPoolBwd } from "../ops/training/mean_pool_bwd.ts";
import { rmsNormBwd } from "../ops/training/rms_norm_bwd.ts";
import {
  at,
  copy,
  type Dropout,
  type ForwardTensors,
  headInput,
  type HeadRows,
  lastResidual,
  lastRows,
  recordBlocks,
  recordDropout,
  recordHead,
  recordNormF,
  residualBefore,
} from "./forward.ts";
import { trainingOf } from "./mixers/mixers.ts";
import type { State } from "./state.ts";
import { targetRows, type TrainingActivations } from "./training_activations.ts";
import type { ModelWeights } from "./weights.ts";

/** What a training pass works on. */
export interface TrainingTensors {
  readonly weights: ModelWeights;
  readonly activations: TrainingActivations;
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout | undefined;
  /**
   * Where each half's state comes from, and where it goes at the end: for a pass that goes on where another ended.
   *
   * @default {none} All begin with zeros.
   */
  readonly carried?: State | undefined;
}

/**
 * Records the forward half: from activations.inputs to activations.logits, each half of a block keeping what backward needs.
 */
export function recordTrainingForward(
  program: Program,
  config: ModelConfig,
  tensors: TrainingTensors,
): void {
  const { shape, logits, pool_state, zeros } = tensors.activations;
  const forward = forwardTensors(tensors);
  recordBlocks(program, config, forward, shape);
  if (pool_state !== undefined) copy(program, zeros, pool_state, pool_state.size);
  recordNormF(program, config, forward, shape);
  recordHead(program, forward, logits, headRows(config, shape));
}

/** The tensors of a forward pass, kept ones. */
function forwardTensors(
  { weights, activations, dropout, carried }: TrainingTensors,
): ForwardTensors {
  return {
    ...activations,
    weights,
    halves: activations.halves.map((half, index) => ({
      ...half,
      kept: { initial: half.initial, carried: carried && at(carried.halves, index) },
    })),
    training: { dropout, undropped: activations.grad.normed },
  };
}

/**
 * Records the loss: activations.losses, and the logits turn into their gradients.
 *
 * @param goal `targetCount` counts the targets that are not ignored: gradients are those of their mean. `smoothing`
 * (default 0) is the share of each target that is spread over all classes.
 */
export function recordLoss(
  program: Program,
  config: ModelConfig,
  activations: TrainingActivations,
  { targetCount, smoothing = 0 }: { targetCount: number; smoothing?: number },
): void {
  const { logits, targets, losses, shape } = activations;
  const { head, real_vocab_size } = config;
  crossEntropy(program, { logits, targets, loss: losses }, {
    rows: targetRows(config, shape),
    vocab_size: logitCount(config),
    real_vocab_size: head.kind === "lm" ? real_vocab_size : head.n_classes,
    smoothing,
    scale: 1 / targetCount,
    label: "cross_entropy",
  });
}

/** Records backward, from the gradients of the logits: the gradient of every parameter. */
export function recordBackward(
  program: Program,
  config: ModelConfig,
  tensors: TrainingTensors & { readonly gradients: ModelWeights },
): void {
  const { d_model, norm_epsilon, head: headConfig } = config;
  const { weights, gradients, activations } = tensors;
  const { shape, grad, logits, halves } = activations;
  const forward = forwardTensors(tensors);
  const { batch, seqlen } = shape;
  const rows = batch * seqlen;
  const { partials } = activations;
  const logitRows = targetRows(config, shape);
  const x = headInput(forward);
  matmulBwdW(program, { grad_y: logits, x, grad_weight: gradients.head.weight, partials }, {
    ...headRows(config, shape),
    label: "head_bwd",
  });
  if (gradients.head.bias !== undefined) {
    columnSum(program, { x: logits, partials, y: gradients.head.bias }, {
      rows: logitRows,
      columns: logitCount(config),
      label: "head_bwd",
    });
  }
  const isLanguageModel = headConfig.kind === "lm";
  const grad_x = isLanguageModel ? grad.normed : grad.last;
  matmulBwdX(program, { grad_y: logits, weight: weights.head.weight, grad_x }, {
    rows: logitRows,
    label: "head_bwd",
  });
  if (!isLanguageModel) {
    const pool = { grad_y: grad.last, grad_x: grad.normed };
    const poolShape = { batch, seqlen, d_model, label: "pool_bwd" };
    if (poolsMean(config)) meanPoolBwd(program, pool, poolShape);
    else lastStepBwd(program, pool, poolShape);
  }
  rmsNormBwd(
    program,
    {
      x: lastResidual(forward),
      weight: weights.norm_f,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: gradients.norm_f,
    },
    { rows, d_model, eps: norm_epsilon, label: "norm_f_bwd" },
  );

  for (const [index, { label, part }] of [...blockHalves(config).entries()].reverse()) {
    const { activations: own, initial, state } = at(halves, index);
    const site = { site: index, label: `${label}.dropout_bwd` };
    trainingOf(part).backward(
      program,
      config,
      {
        weights: at(weights.halves, index),
        gradients: at(gradients.halves, index),
        training: activations,
        activations: own,
        grad: at(grad.parts, index),
        initial,
        state,
        input: residualBefore(forward, index),
        gradOutput: recordGradOutput(program, config, tensors, site),
      },
      label,
    );
  }

  if (config.input.kind === "embedding") {
    // A tied table has its head's gradient already.
    const accumulate = headConfig.kind === "lm" && headConfig.tied;
    const grad_y = recordGradOutput(program, config, tensors, {
      site: halves.length,
      label: "embedding.dropout_bwd",
    });
    const table = { ids: activations.inputs, grad_y, partials };
    embeddingBwd(program, { ...table, grad_weight: gradients.input.weight }, {
      rows,
      accumulate,
      label: "embedding_bwd",
    });
    return;
  }
  const projection = { grad_y: grad.residual, x: activations.inputs, partials };
  matmulBwdW(program, { ...projection, grad_weight: gradients.input.weight }, {
    rows,
    label: "input_proj_bwd",
  });
  if (gradients.input.bias !== undefined) {
    columnSum(program, { x: grad.residual, partials, y: gradients.input.bias }, {
      rows,
      columns: d_model,
      label: "input_proj_bwd",
    });
  }
}

/** The gradient of what was added to the residual stream: the stream's, with what the forward half dropped dropped again. */
function recordGradOutput(
  program: Program,
  { d_model }: ModelConfig,
  { activations, dropout: dropped }: TrainingTensors,
  { site, label }: { readonly site: number; readonly label: string },
): Tensor {
  const { grad, shape } = activations;
  if (dropped === undefined) return grad.residual;
  recordDropout(program, dropped, { x: grad.residual, y: grad.normed }, {
    ...{ size: shape.batch * shape.seqlen * d_model, site, label },
  });
  return grad.normed;
}

/** Which rows of its input the head reads: all of them, or the last step of each sequence. */
function headRows(config: ModelConfig, shape: TrainingActivations["shape"]): HeadRows {
  return config.head.kind === "lm" ? { rows: targetRows(config, shape) } : lastRows(config, shape);
}
