/** The model: input -> blocks -> norm_f -> head, recorded as one program, for inference and for training. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { dropout } from "../ops/training/dropout.ts";
import { embeddingFwd } from "../ops/embedding.ts";
import { linearFwd, matmulFwd, MATVEC_MAX_ROWS, matvecFwd } from "../ops/linear.ts";
import { meanPoolFwd } from "../ops/mean_pool.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { sumPartials } from "../ops/training/sum_partials.ts";
import { partOf, trainingOf } from "./mixers/mixers.ts";
import type { StateTensors } from "./mixers/part.ts";
import { beginState, type KeptState, leaveState } from "./training_state.ts";
import type { ModelWeights } from "./weights.ts";

/** What a forward pass works on. */
export interface ForwardTensors {
  readonly weights: ModelWeights;
  /** Token ids (batch, seqlen), or input vectors (batch, seqlen, d_input). */
  readonly inputs: Tensor;
  /** Bitmap of the ids consumed, where it is wanted. */
  readonly seen?: Tensor | undefined;
  /** The residual stream before the first block (batch, seqlen, d_model). */
  readonly embedded: Tensor;
  /** What each half of a block works on. */
  readonly halves: readonly ForwardHalf[];
  /** For RMSNorms (batch, seqlen, d_model); at the end it holds norm_f's, where that is of all steps. */
  readonly normed: Tensor;
  /** A classifier's running means (batch, seqlen, d_model). */
  readonly pooled: Tensor;
  /** What those means go on from, in a classifier that has them. */
  readonly pool_state: Tensor | undefined;
  /** In training alone. */
  readonly training?: ForwardTraining | undefined;
}

/** What one half of a block works on. */
export interface ForwardHalf {
  /** The residual stream: what all halves add to; in training each has its own, so that all of them are kept. */
  readonly residual: Tensor;
  /** What its part writes. */
  readonly activations: object;
  readonly state: StateTensors;
  /** In training alone: what becomes of the state. */
  readonly kept?: KeptState | undefined;
}

/** What is different in training. */
export interface ForwardTraining {
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout | undefined;
  /** What is added to the residual stream, before some of it is dropped (batch, seqlen, d_model). */
  readonly undropped: Tensor;
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

/** Size of a forward pass. */
export interface ForwardShape {
  readonly batch: number;
  readonly seqlen: number;
  /** One step of any batch, by the kernels of a step: no bit of a row depends on how many there are. Default false. */
  readonly isStep?: boolean;
}

/** Records input and blocks: afterwards {@linkcode lastResidual} is the last block's output, and the state has moved on. */
export function recordBlocks(
  program: Program,
  config: ModelConfig,
  tensors: ForwardTensors,
  shape: ForwardShape,
): void {
  recordInput(program, config, tensors, shape);
  const { training } = tensors;
  const dropped = training?.dropout;
  const size = shape.batch * shape.seqlen * config.d_model;
  for (const [index, { label, part }] of blockHalves(config).entries()) {
    const half = at(tensors.halves, index);
    const { norm, part: weights } = at(tensors.weights.halves, index);
    const { residual, activations, state, kept } = half;
    const input = residualBefore(tensors, index);
    if (input !== residual) copy(program, input, residual, size);
    if (kept !== undefined) beginState(program, kept, state, label);
    partOf(part).forward(
      program,
      config,
      {
        ...{ norm, weights, state, residual, normed: tensors.normed, activations },
        output: dropped && training?.undropped,
      },
      { ...shape, chunk: training === undefined ? 0 : trainingOf(part).chunk, label },
    );
    if (dropped !== undefined && training !== undefined) {
      recordDropout(program, dropped, { x: training.undropped, y: residual }, {
        ...{ size, site: index, accumulate: true, label: `${label}.dropout` },
      });
    }
    if (kept !== undefined) leaveState(program, kept, state, label);
  }
}

function recordInput(
  program: Program,
  config: ModelConfig,
  { weights, inputs, seen, embedded, training }: ForwardTensors,
  { batch, seqlen, isStep }: ForwardShape,
): void {
  const { input } = weights;
  const rows = batch * seqlen;
  if (config.input.kind === "linear") {
    const tensors = { x: inputs, weight: input.weight, bias: input.bias, y: embedded };
    product(training, isStep)(program, tensors, { rows, label: "input_proj" });
    return;
  }
  const dropped = training?.dropout;
  const y = dropped === undefined ? embedded : training?.undropped ?? embedded;
  const tensors = { ids: inputs, weight: input.weight, y, ...(seen ? { seen } : {}) };
  embeddingFwd(program, tensors, { batch, seqlen, label: "embedding" });
  if (dropped !== undefined) {
    recordDropout(program, dropped, { x: y, y: embedded }, {
      ...{ size: rows * config.d_model, site: weights.halves.length, label: "embedding.dropout" },
    });
  }
}

/** Records norm_f of every step, and a classifier's running mean of it. */
export function recordNormF(
  program: Program,
  { d_model, norm_epsilon: eps }: ModelConfig,
  tensors: ForwardTensors,
  { batch, seqlen }: ForwardShape,
): void {
  const { weights, normed, pooled, pool_state } = tensors;
  rmsNormFwd(
    program,
    { x: lastResidual(tensors), weight: weights.norm_f, y: normed },
    { rows: batch * seqlen, d_model, eps, label: "norm_f" },
  );
  if (pool_state === undefined) return;
  meanPoolFwd(
    program,
    { x: normed, pool_state, y: pooled },
    { batch, seqlen, d_model, label: "pool" },
  );
}

/** Records the head over some rows of what {@linkcode recordNormF} left. */
export function recordHead(
  program: Program,
  tensors: ForwardTensors,
  logits: Tensor,
  { isStep, ...rows }: HeadRows,
): void {
  const { weight, bias } = tensors.weights.head;
  product(tensors.training, isStep)(
    program,
    { x: headInput(tensors), weight, bias, y: logits },
    { ...rows, label: "head" },
  );
}

/** Which rows the head reads. */
export interface HeadRows {
  readonly rows: number;
  readonly ldX?: number;
  readonly xOffset?: number;
  /** Whether they are steps: see {@linkcode ForwardShape}. */
  readonly isStep?: boolean | undefined;
}

/** The last step of each sequence. */
export function lastRows({ d_model }: ModelConfig, { batch, seqlen }: ForwardShape): HeadRows {
  return { rows: batch, ldX: seqlen * d_model, xOffset: (seqlen - 1) * d_model };
}

/**
 * Records norm_f and head for the last step of each sequence, into `logits` (batch, logits).
 *
 * A classifier that pools the mean has {@linkcode recordNormF} recorded before.
 */
export function recordLastLogits(
  program: Program,
  config: ModelConfig,
  tensors: ForwardTensors,
  shape: ForwardShape & { readonly logits: Tensor },
): void {
  const { d_model, norm_epsilon: eps } = config;
  const { weights: { head, norm_f }, normed, pool_state } = tensors;
  const { batch, logits, isStep } = shape;
  const last = lastRows(config, shape);
  const residual = lastResidual(tensors);
  if (pool_state !== undefined) recordHead(program, tensors, logits, { ...last, isStep });
  else if (isStep || batch <= MATVEC_MAX_ROWS) {
    matvecFwd(
      program,
      { x: residual, weight: head.weight, bias: head.bias, y: logits },
      { ...last, label: "head" },
      { norm: { weight: norm_f, eps } },
    );
  } else {
    rmsNormFwd(
      program,
      { x: residual, weight: norm_f, y: normed },
      { d_model, eps, ...last, label: "norm_f" },
    );
    recordHead(program, tensors, logits, { rows: batch });
  }
}

/** What the head reads, of every step. */
export function headInput({ pool_state, normed, pooled }: ForwardTensors): Tensor {
  return pool_state === undefined ? normed : pooled;
}

/** The residual stream before a half. */
export function residualBefore({ embedded, halves }: ForwardTensors, index: number): Tensor {
  return index === 0 ? embedded : at(halves, index - 1).residual;
}

/** The last block's output. */
export function lastResidual(tensors: ForwardTensors): Tensor {
  return residualBefore(tensors, tensors.halves.length);
}

/** In training a product at the ends has the same sums however few its rows are, and in a step however many. */
function product(training: ForwardTraining | undefined, isStep = false): typeof linearFwd {
  if (isStep) return (program, tensors, shape) => matvecFwd(program, tensors, shape);
  return training === undefined
    ? linearFwd
    : (program, tensors, shape) => matmulFwd(program, tensors, shape);
}

/** What a site of dropout is: each drops by random numbers of its own. */
export interface DropoutShape {
  readonly size: number;
  readonly site: number;
  readonly accumulate?: boolean;
  readonly label: string;
}

/** Records y = x, or y += x, without the elements that are dropped. */
export function recordDropout(
  program: Program,
  { draw, ...settings }: Dropout,
  tensors: { readonly x: Tensor; readonly y: Tensor },
  shape: DropoutShape,
): void {
  dropout(program, { ...tensors, draw }, { ...settings, ...shape });
}

/** A sum of one part is a copy, inside the pass. */
export function copy(program: Program, from: Tensor, to: Tensor, size: number): void {
  sumPartials(program, { partials: from, y: to }, { parts: 1, size, label: "copy" });
}

/** An item of a list that has one for each half. */
export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Cannot run half ${index} of ${list.length}`);
  return item;
}
