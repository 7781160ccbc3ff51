/** A training pass: forward with the ops of inference, loss, and backward, recorded as one program. */

import { blockHalves } from "../../model/blocks.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { logitCount, poolsMean } from "../../model/ends.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import { type Dropout, dropoutWithin, recordDropout } from "../dropout.ts";
import {
  at,
  copy,
  type ForwardTensors,
  headInput,
  type HeadRows,
  lastResidual,
  lastRows,
  recordBlocks,
  recordHead,
  recordNormF,
  residualBefore,
  type SequenceState,
} from "../forward.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { Platform } from "../platform.ts";
import { targetRows, type TrainingActivations } from "./activations.ts";
import type { ParameterSet } from "./parameters.ts";

/** What a training pass works on. */
export interface TrainingTensors<K extends PassKinds> {
  readonly parameters: ParameterSet<K>;
  readonly activations: TrainingActivations<K>;
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout<K> | undefined;
  /**
   * Where each half's state comes from, and where it goes at the end: for a pass that goes on where another ended.
   *
   * @default {none} All begin with zeros.
   */
  readonly carried?: Pick<SequenceState<K>, "halves"> | undefined;
}

/**
 * Records the forward half: from activations.inputs to activations.logits, each half of a block keeping what backward needs.
 */
export function recordTrainingForward<K extends PassKinds>(
  platform: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: TrainingTensors<K>,
): void {
  const { shape, logits, pool_state, zeros } = tensors.activations;
  const forward = forwardTensors(tensors);
  tensors.parameters.derive(program);
  recordBlocks(platform, program, config, forward, shape);
  if (pool_state !== undefined) copy(platform.ops, program, zeros, pool_state, pool_state.size);
  recordNormF(platform, program, config, forward, shape);
  recordHead(platform, program, forward, logits, headRows(config, shape));
}

/** The tensors of a forward pass, kept ones. */
function forwardTensors<K extends PassKinds>(
  { parameters: { weights }, activations, dropout, carried }: TrainingTensors<K>,
): ForwardTensors<K> {
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
export function recordLoss<K extends PassKinds>(
  { ops }: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  activations: TrainingActivations<K>,
  { targetCount, smoothing = 0 }: { targetCount: number; smoothing?: number },
): void {
  const { logits, targets, losses, shape } = activations;
  const { head, real_vocab_size } = config;
  ops.crossEntropy(program, { logits, targets, loss: losses }, {
    rows: targetRows(config, shape),
    vocab_size: logitCount(config),
    real_vocab_size: head.kind === "lm" ? real_vocab_size : head.n_classes,
    smoothing,
    scale: 1 / targetCount,
    label: "cross_entropy",
  });
}

/** What a backward pass works on. */
interface BackwardTensors<K extends PassKinds> extends TrainingTensors<K> {
  readonly gradients: ParameterSet<K>;
}

/** Records backward, from the gradients of the logits: the gradient of every parameter. */
export function recordBackward<K extends PassKinds>(
  platform: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: BackwardTensors<K>,
): void {
  const { ops, parts } = platform;
  const { parameters, gradients, activations } = tensors;
  const forward = forwardTensors(tensors);
  recordEndBwd(ops, program, config, tensors);
  for (const [index, { label, part }] of [...blockHalves(config).entries()].reverse()) {
    const { activations: own, normed, initial, state } = at(activations.halves, index);
    const site = { site: index, label: `${label}.dropout_bwd` };
    parts.trainingOf(part).backward(
      program,
      config,
      {
        weights: at(parameters.weights.halves, index),
        gradients: at(gradients.weights.halves, index),
        training: activations,
        activations: own,
        scratch: at(activations.grad.parts, index),
        ...{ initial, state, normed },
        input: residualBefore(forward, index),
        gradOutput: recordGradOutput(ops, program, config, tensors, site),
        within: dropoutWithin(config, tensors.dropout, index),
      },
      label,
    );
  }
  recordInputBwd(ops, program, config, tensors);
}

/** Backward of the head, a classifier's mean, and norm_f. */
function recordEndBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: BackwardTensors<K>,
): void {
  const { d_model, norm_epsilon: eps, head } = config;
  const { parameters: { weights }, gradients: { weights: gradients }, activations } = tensors;
  const { shape, grad, logits, partials } = activations;
  const forward = forwardTensors(tensors);
  const label = "head_bwd";
  const rows = targetRows(config, shape);
  ops.matmulBwdW(
    program,
    { grad_y: logits, x: headInput(forward), grad_weight: gradients.head.weight, partials },
    { ...headRows(config, shape), label },
  );
  if (gradients.head.bias !== undefined) {
    ops.columnSum(program, { x: logits, partials, y: gradients.head.bias }, {
      ...{ rows, columns: logitCount(config), label },
    });
  }
  const isLanguageModel = head.kind === "lm";
  const grad_x = isLanguageModel ? grad.normed : grad.last;
  ops.matmulBwdX(program, { grad_y: logits, weight: weights.head.weight, grad_x }, { rows, label });
  if (!isLanguageModel) {
    const poolBwd = poolsMean(config) ? ops.meanPoolBwd : ops.lastStepBwd;
    const pool = { grad_y: grad.last, grad_x: grad.normed };
    poolBwd(program, pool, { ...shape, d_model, label: "pool_bwd" });
  }
  ops.rmsNormBwd(
    program,
    {
      x: lastResidual(forward),
      weight: weights.norm_f,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: gradients.norm_f,
    },
    { rows: shape.batch * shape.seqlen, d_model, eps, label: "norm_f_bwd" },
  );
}

/** Backward of the embedding, or of the input's projection. */
function recordInputBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: BackwardTensors<K>,
): void {
  const { shape, inputs, grad, halves, partials } = tensors.activations;
  const { weight: grad_weight, bias } = tensors.gradients.weights.input;
  const rows = shape.batch * shape.seqlen;
  if (config.input.kind === "embedding") {
    // A tied table has its head's gradient already.
    const accumulate = config.head.kind === "lm" && config.head.tied;
    const site = { site: halves.length, label: "embedding.dropout_bwd" };
    const grad_y = recordGradOutput(ops, program, config, tensors, site);
    ops.embeddingBwd(program, { ids: inputs, grad_y, partials, grad_weight }, {
      ...{ rows, accumulate, label: "embedding_bwd" },
    });
    return;
  }
  const label = "input_proj_bwd";
  ops.matmulBwdW(program, { grad_y: grad.residual, x: inputs, grad_weight, partials }, {
    ...{ rows, label },
  });
  if (bias === undefined) return;
  ops.columnSum(program, { x: grad.residual, partials, y: bias }, {
    ...{ rows, columns: config.d_model, label },
  });
}

/** The gradient of what was added to the residual stream: the stream's, with what the forward half dropped dropped again. */
function recordGradOutput<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { d_model }: ModelConfig,
  { activations, dropout: dropped }: TrainingTensors<K>,
  { site, label }: { readonly site: number; readonly label: string },
): K["tensor"] {
  const { grad, shape } = activations;
  if (dropped === undefined) return grad.residual;
  const own = { ...dropped, site };
  recordDropout(ops, program, own, { x: grad.residual, y: grad.normed }, {
    ...{ size: shape.batch * shape.seqlen * d_model, label },
  });
  return grad.normed;
}

/** Which rows of its input the head reads: all of them, or the last step of each sequence. */
function headRows(config: ModelConfig, shape: BatchShape): HeadRows {
  return config.head.kind === "lm" ? { rows: targetRows(config, shape) } : lastRows(config, shape);
}
