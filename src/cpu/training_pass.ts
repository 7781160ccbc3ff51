/** A training pass: forward with the ops of inference, loss, and backward, recorded as one program. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { logitCount, poolsMean } from "../model/ends.ts";
import { partOf, trainingOf } from "./mixers/mixers.ts";
import { crossEntropy } from "./ops/training/cross_entropy.ts";
import { dropout } from "./ops/training/dropout.ts";
import { embeddingFwd } from "./ops/embedding.ts";
import { embeddingBwd } from "./ops/training/embedding_bwd.ts";
import { matmulFwd } from "./ops/linear.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "./ops/training/linear_bwd.ts";
import { meanPoolFwd } from "./ops/mean_pool.ts";
import { lastStepBwd, meanPoolBwd } from "./ops/training/mean_pool_bwd.ts";
import { rmsNormFwd } from "./ops/rms_norm.ts";
import { rmsNormBwd } from "./ops/training/rms_norm_bwd.ts";
import { sumPartials } from "./ops/training/sum_partials.ts";
import type { ParameterSet } from "./parameters.ts";
import type { CpuProgram } from "./program.ts";
import type { CpuState } from "./state.ts";
import type { CpuTensor } from "./tensor.ts";
import { targetRows, type TrainingActivations } from "./training_activations.ts";
import { beginState, leaveState } from "./training_state.ts";

/** Elements of the embedding and of each block's output that are left out at random. */
export interface Dropout {
  /** Chance of each, from 0 to below 1. */
  readonly probability: number;
  /** Key of the random generator. */
  readonly seed: number;
  /** A number that is another for each pass (1, u32): forward and backward of one pass drop the same. */
  readonly draw: CpuTensor;
}

/** What a training pass works on. */
export interface TrainingTensors {
  readonly parameters: ParameterSet;
  readonly activations: TrainingActivations;
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout | undefined;
  /**
   * Where each half's state comes from, and where it goes at the end: for a pass that goes on where another ended.
   *
   * @default {none} All begin with zeros.
   */
  readonly carried?: CpuState | undefined;
}

/**
 * Records the forward half: from activations.inputs to activations.logits, each half of a block keeping what backward needs.
 */
export function recordTrainingForward(
  program: CpuProgram,
  config: ModelConfig,
  tensors: TrainingTensors,
): void {
  tensors.parameters.derive(program);
  recordInput(program, config, tensors);
  recordHalves(program, config, tensors);
  recordEnd(program, config, tensors);
}

function recordInput(
  program: CpuProgram,
  { input: { kind }, d_model }: ModelConfig,
  { parameters: { weights: { input } }, activations, dropout: dropped }: TrainingTensors,
): void {
  const { shape, inputs, embedded, grad, halves } = activations;
  const { weight, bias } = input;
  const rows = shape.batch * shape.seqlen;
  if (kind === "linear") {
    matmulFwd(program, { x: inputs, weight, bias, y: embedded }, { rows, label: "input_proj" });
    return;
  }
  const y = dropped === undefined ? embedded : grad.normed;
  embeddingFwd(program, { ids: inputs, weight, y }, { ...shape, label: "embedding" });
  if (dropped === undefined) return;
  recordDropout(program, dropped, { x: y, y: embedded }, {
    ...{ size: rows * d_model, site: halves.length, label: "embedding.dropout" },
  });
}

function recordHalves(
  program: CpuProgram,
  config: ModelConfig,
  { parameters: { weights }, activations, dropout: dropped, carried }: TrainingTensors,
): void {
  const { shape, grad } = activations;
  const size = shape.batch * shape.seqlen * config.d_model;
  // A place for what is dropped: gradients come later.
  const undropped = grad.normed;
  for (const [index, { label, part }] of blockHalves(config).entries()) {
    const { residual, normed, activations: own, initial, state } = at(activations.halves, index);
    const { norm, part: partWeights } = at(weights.halves, index);
    const kept = { initial, carried: carried && at(carried.halves, index) };
    copy(program, residualBefore(activations, index), residual, size);
    beginState(program, kept, state, label);
    partOf(part).forward(
      program,
      config,
      {
        ...{ norm, weights: partWeights, state, residual, normed, activations: own },
        output: dropped && undropped,
      },
      { ...shape, chunk: trainingOf(part).chunk, label },
    );
    if (dropped !== undefined) {
      recordDropout(program, dropped, { x: undropped, y: residual }, {
        ...{ size, site: index, accumulate: true, label: `${label}.dropout` },
      });
    }
    leaveState(program, kept, state, label);
  }
}

/** norm_f of every step, a classifier's mean of it, and the head. */
function recordEnd(
  program: CpuProgram,
  config: ModelConfig,
  { parameters: { weights }, activations }: TrainingTensors,
): void {
  const { d_model, norm_epsilon: eps } = config;
  const { shape, normed, pooled, pool_state, zeros, logits, halves } = activations;
  rmsNormFwd(
    program,
    { x: residualBefore(activations, halves.length), weight: weights.norm_f, y: normed },
    { rows: shape.batch * shape.seqlen, d_model, eps, label: "norm_f" },
  );
  if (pool_state !== undefined) {
    copy(program, zeros, pool_state, pool_state.size);
    meanPoolFwd(
      program,
      { x: normed, pool_state, y: pooled },
      { ...shape, d_model, label: "pool" },
    );
  }
  const { weight, bias } = weights.head;
  matmulFwd(
    program,
    { x: headInput(activations), weight, bias, y: logits },
    { ...headRows(config, activations), label: "head" },
  );
}

/**
 * Records the loss: activations.losses, and the logits turn into their gradients.
 *
 * @param goal `targetCount` counts the targets that are not ignored: gradients are those of their mean. `smoothing`
 * (default 0) is the share of each target that is spread over all classes.
 */
export function recordLoss(
  program: CpuProgram,
  config: ModelConfig,
  { logits, targets, losses, shape }: TrainingActivations,
  { targetCount, smoothing = 0 }: { targetCount: number; smoothing?: number },
): void {
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
  program: CpuProgram,
  config: ModelConfig,
  tensors: TrainingTensors & { readonly gradients: ParameterSet },
): void {
  recordEndBwd(program, config, tensors);
  const { parameters, activations } = tensors;
  for (const [index, { label, part }] of [...blockHalves(config).entries()].reverse()) {
    const { activations: own, normed, initial, state } = at(activations.halves, index);
    const { activations: grad, state: gradState } = at(activations.grad.parts, index);
    const site = { site: index, label: `${label}.dropout_bwd` };
    trainingOf(part).backward(
      program,
      config,
      {
        weights: at(parameters.weights.halves, index),
        gradients: at(tensors.gradients.weights.halves, index),
        training: activations,
        activations: own,
        ...{ grad, initial, state, gradState, normed },
        input: residualBefore(activations, index),
        gradOutput: recordGradOutput(program, config, tensors, site),
      },
      label,
    );
  }
  recordInputBwd(program, config, tensors);
}

function recordEndBwd(
  program: CpuProgram,
  config: ModelConfig,
  { parameters: { weights }, gradients: { weights: gradients }, activations }: TrainingTensors & {
    readonly gradients: ParameterSet;
  },
): void {
  const { d_model, norm_epsilon: eps } = config;
  const { shape, grad, logits, partials, halves } = activations;
  const label = "head_bwd";
  const own = { grad_y: logits, x: headInput(activations), grad_weight: gradients.head.weight };
  matmulBwdW(program, own, { ...headRows(config, activations), label });
  const rows = targetRows(config, shape);
  if (gradients.head.bias !== undefined) {
    columnSum(program, { x: logits, y: gradients.head.bias }, {
      ...{ rows, columns: logitCount(config), label },
    });
  }
  const isLanguageModel = config.head.kind === "lm";
  const grad_x = isLanguageModel ? grad.normed : grad.last;
  matmulBwdX(program, { grad_y: logits, weight: weights.head.weight, grad_x }, { rows, label });
  if (!isLanguageModel) {
    const poolBwd = poolsMean(config) ? meanPoolBwd : lastStepBwd;
    poolBwd(
      program,
      { grad_y: grad.last, grad_x: grad.normed },
      { ...shape, d_model, label: "pool_bwd" },
    );
  }
  rmsNormBwd(
    program,
    {
      x: residualBefore(activations, halves.length),
      weight: weights.norm_f,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: gradients.norm_f,
    },
    { rows: shape.batch * shape.seqlen, d_model, eps, label: "norm_f_bwd" },
  );
}

function recordInputBwd(
  program: CpuProgram,
  config: ModelConfig,
  tensors: TrainingTensors & { readonly gradients: ParameterSet },
): void {
  const { shape, inputs, grad, halves } = tensors.activations;
  const { weight: grad_weight, bias } = tensors.gradients.weights.input;
  const rows = shape.batch * shape.seqlen;
  if (config.input.kind === "embedding") {
    // A tied table has its head's gradient already.
    const accumulate = config.head.kind === "lm" && config.head.tied;
    const site = { site: halves.length, label: "embedding.dropout_bwd" };
    const grad_y = recordGradOutput(program, config, tensors, site);
    embeddingBwd(program, { ids: inputs, grad_y, grad_weight }, {
      ...{ rows, accumulate, label: "embedding_bwd" },
    });
    return;
  }
  const label = "input_proj_bwd";
  matmulBwdW(program, { grad_y: grad.residual, x: inputs, grad_weight }, { rows, label });
  if (bias === undefined) return;
  columnSum(program, { x: grad.residual, y: bias }, { rows, columns: config.d_model, label });
}

/** The gradient of what was added to the residual stream: the stream's, with what the forward half dropped dropped again. */
function recordGradOutput(
  program: CpuProgram,
  { d_model }: ModelConfig,
  { activations: { grad, shape }, dropout: dropped }: TrainingTensors,
  site: { readonly site: number; readonly label: string },
): CpuTensor {
  if (dropped === undefined) return grad.residual;
  recordDropout(program, dropped, { x: grad.residual, y: grad.normed }, {
    ...{ size: shape.batch * shape.seqlen * d_model, ...site },
  });
  return grad.normed;
}

/** Records y = x, or y += x, without the elements that are dropped. */
function recordDropout(
  program: CpuProgram,
  { draw, ...settings }: Dropout,
  tensors: { readonly x: CpuTensor; readonly y: CpuTensor },
  shape: { size: number; site: number; accumulate?: boolean; label: string },
): void {
  dropout(program, { ...tensors, draw }, { ...settings, ...shape });
}

/** What the head reads, of every step. */
function headInput({ pool_state, normed, pooled }: TrainingActivations): CpuTensor {
  return pool_state === undefined ? normed : pooled;
}

/** Which rows of its input the head reads: all of them, or the last step of each sequence. */
function headRows(
  config: ModelConfig,
  { shape: { batch, seqlen } }: TrainingActivations,
): { rows: number; ldX?: number; xOffset?: number } {
  const { d_model, head } = config;
  return head.kind === "lm"
    ? { rows: batch * seqlen }
    : { rows: batch, ldX: seqlen * d_model, xOffset: (seqlen - 1) * d_model };
}

/** The residual stream before a half. */
function residualBefore({ embedded, halves }: TrainingActivations, index: number): CpuTensor {
  return index === 0 ? embedded : at(halves, index - 1).residual;
}

/** A sum of one part is a copy. */
function copy(program: CpuProgram, from: CpuTensor, to: CpuTensor, size: number): void {
  sumPartials(program, { partials: from, y: to }, { parts: 1, size, label: "copy" });
}

/** An item of a list that has one for each half. */
function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Cannot run half ${index} of ${list.length}`);
  return item;
}
