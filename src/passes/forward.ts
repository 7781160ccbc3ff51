/** The model: input -> blocks -> norm_f -> head, recorded as one program, for inference and for training. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { Activations } from "./activations.ts";
import { type Dropout, dropoutWithin, recordDropout } from "./dropout.ts";
import type { PassKinds } from "./kinds.ts";
import type { OpSet } from "./op_set.ts";
import type { Named } from "./ops/op.ts";
import type { Platform } from "./platform.ts";
import { beginState, type KeptState, leaveState } from "./training/state.ts";
import type { ModelWeights } from "./weights.ts";

/** What a forward pass works on. */
export interface ForwardTensors<K extends PassKinds> {
  readonly weights: ModelWeights<K>;
  /** Token ids (batch, seqlen), or input vectors (batch, seqlen, d_input). */
  readonly inputs: K["tensor"];
  /** Bitmap of the ids consumed, where it is wanted. */
  readonly seen?: K["tensor"] | undefined;
  /** The residual stream before the first block (batch, seqlen, d_model). */
  readonly embedded: K["tensor"];
  /** What each half of a block works on. */
  readonly halves: readonly ForwardHalf<K>[];
  /** For norm_f of all steps, where that is wanted (batch, seqlen, d_model). */
  readonly normed: K["tensor"];
  /** A classifier's running means (batch, seqlen, d_model). */
  readonly pooled: K["tensor"];
  /** What those means go on from, in a classifier that has them. */
  readonly pool_state: K["tensor"] | undefined;
  /** In training alone. */
  readonly training?: ForwardTraining<K> | undefined;
}

/** What sequences carry from step to step, of which passes read and write these. */
export interface SequenceState<K extends PassKinds> {
  /** Bitmap of the ids consumed, in a model of tokens. */
  readonly seen: K["tensor"] | undefined;
  /** The running mean of a classifier that has one. */
  readonly pool_state: K["tensor"] | undefined;
  /** What each half of a block carries, by name. */
  readonly halves: readonly Named<string, K["tensor"]>[];
}

/** What one half of a block works on. */
export interface ForwardHalf<K extends PassKinds> {
  /** The residual stream: what all halves add to; in training each has its own, so that all of them are kept. */
  readonly residual: K["tensor"];
  /** For RMSNorm of what comes into the half (batch, seqlen, d_model). */
  readonly normed: K["tensor"];
  /** What its part writes. */
  readonly activations: Named<string, K["tensor"]>;
  readonly state: Named<string, K["tensor"]>;
  /** In training alone: what becomes of the state. */
  readonly kept?: KeptState<K> | undefined;
}

/**
 * What a forward pass works on that is not kept for a backward: all halves write to the same activations.
 *
 * @param inputs Default: those of the activations.
 */
export function inferenceTensors<K extends PassKinds>(
  weights: ModelWeights<K>,
  { seen, pool_state, halves }: SequenceState<K>,
  activations: Activations<K>,
  inputs: K["tensor"] = activations.inputs,
): ForwardTensors<K> {
  const { residual, normed, pooled, parts } = activations;
  return {
    ...{ weights, inputs, seen, embedded: residual, normed, pooled, pool_state },
    halves: halves.map((state, index) => ({
      ...{ residual, normed, activations: at(parts, index), state },
    })),
  };
}

/** What is different in training. */
export interface ForwardTraining<K extends PassKinds> {
  /** None: nothing is dropped, as in evaluation. */
  readonly dropout?: Dropout<K> | undefined;
  /** What is added to the residual stream, before some of it is dropped (batch, seqlen, d_model). */
  readonly undropped: K["tensor"];
}

/** Size of a forward pass. */
export interface ForwardShape {
  readonly batch: number;
  readonly seqlen: number;
  /** One step of any batch, by the ops of a step: no bit of a row depends on how many there are. Default false. */
  readonly isStep?: boolean;
}

/** Records input and blocks: afterwards {@linkcode lastResidual} is the last block's output, and the state has moved on. */
export function recordBlocks<K extends PassKinds>(
  platform: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: ForwardTensors<K>,
  shape: ForwardShape,
): void {
  const { ops, parts } = platform;
  const { training } = tensors;
  recordInput(platform, program, config, tensors, shape);
  const dropped = training?.dropout;
  const size = shape.batch * shape.seqlen * config.d_model;
  for (const [index, { label, part }] of blockHalves(config).entries()) {
    const half = at(tensors.halves, index);
    const { norm, part: weights } = at(tensors.weights.halves, index);
    const { residual, normed, activations, state, kept } = half;
    const input = residualBefore(tensors, index);
    if (input !== residual) copy(ops, program, input, residual, size);
    if (kept !== undefined) beginState(ops, program, kept, state, label);
    parts.of(part).forward(
      program,
      config,
      {
        ...{ norm, weights, state, residual, normed, activations },
        output: dropped && training?.undropped,
        within: dropoutWithin(config, dropped, index),
      },
      { ...shape, chunk: training === undefined ? 0 : parts.trainingOf(part).chunk, label },
    );
    if (dropped !== undefined && training !== undefined) {
      const own = { ...dropped, site: index };
      recordDropout(ops, program, own, { x: training.undropped, y: residual }, {
        ...{ size, accumulate: true, label: `${label}.dropout` },
      });
    }
    if (kept !== undefined) leaveState(ops, program, kept, state, label);
  }
}

function recordInput<K extends PassKinds>(
  { ops }: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  { weights, inputs, seen, embedded, training }: ForwardTensors<K>,
  { batch, seqlen, isStep }: ForwardShape,
): void {
  const { input } = weights;
  const rows = batch * seqlen;
  if (config.input.kind === "linear") {
    const tensors = { x: inputs, weight: input.weight, bias: input.bias, y: embedded };
    product(ops, training, isStep)(program, tensors, { rows, label: "input_proj" });
    return;
  }
  const dropped = training?.dropout;
  const y = dropped === undefined ? embedded : training?.undropped ?? embedded;
  const tensors = { ids: inputs, weight: input.weight, seen, y };
  ops.embeddingFwd(program, tensors, { batch, seqlen, label: "embedding" });
  if (dropped !== undefined) {
    const own = { ...dropped, site: weights.halves.length };
    recordDropout(ops, program, own, { x: y, y: embedded }, {
      ...{ size: rows * config.d_model, label: "embedding.dropout" },
    });
  }
}

/** Records norm_f of every step, and a classifier's running mean of it. */
export function recordNormF<K extends PassKinds>(
  { ops }: Platform<K>,
  program: K["program"],
  { d_model, norm_epsilon: eps }: ModelConfig,
  tensors: ForwardTensors<K>,
  { batch, seqlen }: ForwardShape,
): void {
  const { weights, normed, pooled, pool_state } = tensors;
  ops.rmsNormFwd(
    program,
    { x: lastResidual(tensors), weight: weights.norm_f, y: normed },
    { rows: batch * seqlen, d_model, eps, label: "norm_f" },
  );
  if (pool_state === undefined) return;
  ops.meanPoolFwd(
    program,
    { x: normed, pool_state, y: pooled },
    { batch, seqlen, d_model, label: "pool" },
  );
}

/** Records the head over some rows of what {@linkcode recordNormF} left. */
export function recordHead<K extends PassKinds>(
  { ops }: Platform<K>,
  program: K["program"],
  tensors: ForwardTensors<K>,
  logits: K["tensor"],
  { isStep, ...rows }: HeadRows,
): void {
  const { weight, bias } = tensors.weights.head;
  product(ops, tensors.training, isStep)(
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
export function recordLastLogits<K extends PassKinds>(
  platform: Platform<K>,
  program: K["program"],
  config: ModelConfig,
  tensors: ForwardTensors<K>,
  shape: ForwardShape & { readonly logits: K["tensor"] },
): void {
  const { ops } = platform;
  const { d_model, norm_epsilon: eps } = config;
  const { weights: { head, norm_f }, normed, pool_state } = tensors;
  const { batch, logits, isStep } = shape;
  const last = lastRows(config, shape);
  const residual = lastResidual(tensors);
  if (pool_state !== undefined) recordHead(platform, program, tensors, logits, { ...last, isStep });
  else if (isStep || batch <= ops.MATVEC_MAX_ROWS) {
    ops.matvecFwd(
      program,
      { x: residual, weight: head.weight, bias: head.bias, y: logits },
      { ...last, label: "head" },
      { norm: { weight: norm_f, eps } },
    );
  } else {
    ops.rmsNormFwd(
      program,
      { x: residual, weight: norm_f, y: normed },
      { d_model, eps, ...last, label: "norm_f" },
    );
    recordHead(platform, program, tensors, logits, { rows: batch });
  }
}

/** What the head reads, of every step. */
export function headInput<K extends PassKinds>(
  { pool_state, normed, pooled }: ForwardTensors<K>,
): K["tensor"] {
  return pool_state === undefined ? normed : pooled;
}

/** The residual stream before a half. */
export function residualBefore<K extends PassKinds>(
  { embedded, halves }: ForwardTensors<K>,
  index: number,
): K["tensor"] {
  return index === 0 ? embedded : at(halves, index - 1).residual;
}

/** The last block's output. */
export function lastResidual<K extends PassKinds>(tensors: ForwardTensors<K>): K["tensor"] {
  return residualBefore(tensors, tensors.halves.length);
}

/** In training a product at the ends has the same sums however few its rows are, and in a step however many. */
function product<K extends PassKinds>(
  ops: OpSet<K>,
  training: ForwardTraining<K> | undefined,
  isStep = false,
): OpSet<K>["linearFwd"] {
  if (isStep) return ops.matvecFwd;
  return training === undefined ? ops.linearFwd : ops.matmulFwd;
}

/** A sum of one part is a copy, inside the pass. */
export function copy<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  from: K["tensor"],
  to: K["tensor"],
  size: number,
): void {
  ops.sumPartials(program, { partials: from, y: to }, { parts: 1, size, label: "copy" });
}

/** An item of a list that has one for each half. */
export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Cannot run half ${index} of ${list.length}`);
  return item;
}
