/** A training pass: forward with the kernels of inference, loss, and backward, recorded as one program. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { crossEntropy } from "../ops/cross_entropy.ts";
import { dropout } from "../ops/dropout.ts";
import { embeddingFwd } from "../ops/embedding.ts";
import { embeddingBwd } from "../ops/embedding_bwd.ts";
import { matmulFwd } from "../ops/linear.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../ops/linear_bwd.ts";
import { meanPoolFwd } from "../ops/mean_pool.ts";
import { lastStepBwd, meanPoolBwd } from "../ops/mean_pool_bwd.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { rmsNormBwd } from "../ops/rms_norm_bwd.ts";
import { stateCopy, type StateSlot } from "../ops/state_copy.ts";
import { sumPartials } from "../ops/sum_partials.ts";
import { type Activations, type LayerActivations, targetRows } from "./training_activations.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { blockFwd } from "./mixer.ts";
import { blockBwd } from "./mixer_bwd.ts";
import { type LayerState, logitCount, type State } from "./state.ts";
import type { ModelWeights } from "../model/weights.ts";

/** What a training pass works on. */
export interface TrainingTensors {
  readonly weights: ModelWeights;
  readonly activations: Activations;
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout | undefined;
  /**
   * Where each layer's state comes from, and where it goes at the end: for a pass that goes on where another ended.
   * Gradients do not go back into it (truncated backpropagation through time).
   *
   * @default {none} All layers begin with zeros.
   */
  readonly carried?: State | undefined;
}

/** Elements of the embedding and of each block's output that are left out at random. */
export interface Dropout {
  /** Chance of each, from 0 to below 1. */
  readonly probability: number;
  /** Key of the random generator. */
  readonly seed: number;
  /** A number that is another for each pass (1, u32): forward and backward of one pass drop the same. */
  readonly draw: Tensor;
}

/**
 * Records the forward half: from activations.inputs to activations.logits, all layers keeping what backward needs.
 *
 * Each layer's state begins with conv_initial and slot 0 of ssm_states.
 */
export function recordTrainingForward(
  program: Program,
  config: ModelConfig,
  { weights, activations, dropout: dropped, carried }: TrainingTensors,
): void {
  const { d_model, norm_epsilon } = config;
  const { shape, inputs, embedded, layers, normed, chunk } = activations;
  const { batch, seqlen } = shape;
  const rows = batch * seqlen;
  const { input, head, norm_f } = weights;
  if (config.input.kind === "embedding") {
    const y = dropped ? activations.grad.normed : embedded;
    const tensors = { ids: inputs, weight: input.weight, y };
    embeddingFwd(program, tensors, { batch, seqlen, label: "embedding" });
    if (dropped) {
      const { draw, ...settings } = dropped;
      dropout(program, { x: y, draw, y: embedded }, {
        ...settings,
        size: rows * d_model,
        site: layers.length,
        label: "embedding.dropout",
      });
    }
  } else {
    const tensors = { x: inputs, weight: input.weight, bias: input.bias, y: embedded };
    matmulFwd(program, tensors, { rows, label: "input_proj" });
  }
  for (const [index, layer] of layers.entries()) {
    const { norm, mixer } = at(weights.layers, index);
    const label = `layers.${index}`;
    copy(program, blockInput(activations, index), layer.scratch.residual, rows * d_model);
    const state = carried && at(carried.layers, index);
    if (state) takeState(program, state, layer, `${label}.take_state`);
    copy(program, layer.conv_initial, layer.conv_state, layer.conv_state.size);
    blockFwd(
      program,
      config,
      {
        norm,
        weights: mixer,
        state: { conv_state: layer.conv_state, ssm_state: layer.ssm_states },
        scratch: layer.scratch,
        output: dropped && activations.grad.normed,
      },
      { batch, seqlen, chunk, label },
    );
    if (dropped) {
      const { draw, ...settings } = dropped;
      dropout(program, { x: activations.grad.normed, draw, y: layer.scratch.residual }, {
        ...settings,
        size: rows * d_model,
        site: index,
        accumulate: true,
        label: `${label}.dropout`,
      });
    }
    if (state) leaveState(program, layer, state, `${label}.leave_state`);
  }
  rmsNormFwd(program, { x: lastResidual(activations), weight: norm_f, y: normed }, {
    rows,
    d_model,
    eps: norm_epsilon,
    label: "norm_f",
  });
  if (poolsMean(config)) {
    copy(program, activations.zeros, activations.pool_state, 2 * batch * d_model);
    const pool = { x: normed, pool_state: activations.pool_state, y: activations.pooled };
    meanPoolFwd(program, pool, { batch, seqlen, d_model, label: "pool" });
  }
  matmulFwd(
    program,
    {
      x: headInput(config, activations),
      weight: head.weight,
      bias: head.bias,
      y: activations.logits,
    },
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
  program: Program,
  config: ModelConfig,
  activations: Activations,
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
  const { shape, grad, logits, layers } = activations;
  const { batch, seqlen } = shape;
  const rows = batch * seqlen;
  const { partials } = activations;
  const logitRows = targetRows(config, shape);
  const x = headInput(config, activations);
  matmulBwdW(program, { grad_y: logits, x, grad_weight: gradients.head.weight, partials }, {
    ...headRows(config, activations),
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
      x: lastResidual(activations),
      weight: weights.norm_f,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: gradients.norm_f,
    },
    { rows, d_model, eps: norm_epsilon, label: "norm_f_bwd" },
  );

  for (let index = layers.length - 1; index >= 0; index--) {
    blockBwd(
      program,
      config,
      {
        weights: at(weights.layers, index),
        gradients: at(gradients.layers, index),
        activations,
        layer: at(layers, index),
        input: blockInput(activations, index),
        gradOutput: recordGradOutput(program, config, tensors, {
          site: index,
          label: `layers.${index}.dropout_bwd`,
        }),
      },
      `layers.${index}`,
    );
  }

  if (config.input.kind === "embedding") {
    // A tied table has its head's gradient already.
    const accumulate = headConfig.kind === "lm" && headConfig.tied;
    const grad_y = recordGradOutput(program, config, tensors, {
      site: layers.length,
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
  const { draw, ...settings } = dropped;
  dropout(program, { x: grad.residual, draw, y: grad.normed }, {
    ...settings,
    size: shape.batch * shape.seqlen * d_model,
    site,
    label,
  });
  return grad.normed;
}

/** What a layer begins with: the carried state. */
function takeState(
  program: Program,
  state: LayerState,
  { conv_initial, ssm_states }: LayerActivations,
  label: string,
): void {
  copyState(program, only(state.conv_state), only(conv_initial), `${label}.conv`);
  copyState(program, only(state.ssm_state), slotOf(ssm_states, "first"), `${label}.ssm`);
}

/** What a layer ended with becomes the carried state. */
function leaveState(
  program: Program,
  { conv_state, ssm_states }: LayerActivations,
  state: LayerState,
  label: string,
): void {
  copyState(program, only(conv_state), only(state.conv_state), `${label}.conv`);
  copyState(program, slotOf(ssm_states, "last"), only(state.ssm_state), `${label}.ssm`);
}

function only(tensor: Tensor): StateSlot {
  return { tensor, slots: 1, slot: 0 };
}

/** Of states (batch, slots, ...). */
function slotOf(tensor: Tensor, which: "first" | "last"): StateSlot {
  const [, slots = 1] = tensor.shape;
  return { tensor, slots, slot: which === "first" ? 0 : slots - 1 };
}

function copyState(program: Program, from: StateSlot, to: StateSlot, label: string): void {
  const [batch = 1] = from.tensor.shape;
  const size = from.tensor.size / batch / from.slots;
  stateCopy(program, { from, to }, { batch, size, label });
}

function poolsMean({ head }: ModelConfig): boolean {
  return head.kind === "classifier" && head.pool === "mean";
}

function headInput(config: ModelConfig, { normed, pooled }: Activations): Tensor {
  return poolsMean(config) ? pooled : normed;
}

/** Which rows of its input the head reads: all of them, or the last step of each sequence. */
function headRows(
  config: ModelConfig,
  { shape }: Activations,
): { rows: number; ldX: number; xOffset: number } {
  const { d_model } = config;
  const rows = targetRows(config, shape);
  if (config.head.kind === "lm") return { rows, ldX: d_model, xOffset: 0 };
  return { rows, ldX: shape.seqlen * d_model, xOffset: (shape.seqlen - 1) * d_model };
}

function blockInput({ embedded, layers }: Activations, index: number): Tensor {
  return index === 0 ? embedded : at(layers, index - 1).scratch.residual;
}

function lastResidual(activations: Activations): Tensor {
  return blockInput(activations, activations.layers.length);
}

/** A sum of one part is a copy, inside the pass. */
function copy(program: Program, from: Tensor, to: Tensor, size: number): void {
  sumPartials(program, { partials: from, y: to }, { parts: 1, size, label: "copy" });
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Cannot run layer ${index} of ${list.length}`);
  return item;
}
