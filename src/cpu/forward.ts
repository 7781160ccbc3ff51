/** The model: input -> blocks -> norm_f -> head, recorded as one program. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { Activations } from "./activations.ts";
import { partOf } from "./mixers/mixers.ts";
import { embeddingFwd } from "./ops/embedding.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "./ops/linear.ts";
import { meanPoolFwd } from "./ops/mean_pool.ts";
import { rmsNormFwd } from "./ops/rms_norm.ts";
import type { CpuProgram } from "./program.ts";
import type { CpuState } from "./state.ts";
import type { CpuTensor } from "./tensor.ts";
import type { CpuWeights } from "./weights.ts";

/** What a forward pass works on. */
export interface ForwardTensors {
  readonly weights: CpuWeights;
  readonly state: CpuState;
  readonly activations: Activations;
  /** Token ids (batch, seqlen): state.tokens for a step, activations.inputs for a sequence. Not used by a linear input. */
  readonly ids: CpuTensor;
}

/** Size of a forward pass. */
export interface ForwardShape {
  readonly batch: number;
  readonly seqlen: number;
  /** One step of any batch, by the ops of a step: no bit of a row depends on how many there are. Default false. */
  readonly isStep?: boolean;
}

/**
 * Records input, blocks and a classifier's running mean: afterwards the last block's output is in activations.residual,
 * the mean of each step in activations.pooled, and the state has moved on.
 */
export function recordBlocks(
  program: CpuProgram,
  config: ModelConfig,
  tensors: ForwardTensors,
  { batch, seqlen, isStep }: ForwardShape,
): void {
  const { weights: { input, halves }, state, activations, ids } = tensors;
  const { residual, normed } = activations;
  if (config.input.kind === "embedding") {
    embeddingFwd(
      program,
      { ids, weight: input.weight, y: residual, ...(state.seen ? { seen: state.seen } : {}) },
      { batch, seqlen, label: "embedding" },
    );
  } else {
    product(isStep)(
      program,
      { x: activations.inputs, weight: input.weight, bias: input.bias, y: residual },
      { rows: batch * seqlen, label: "input_proj" },
    );
  }
  for (const [index, { label, part }] of blockHalves(config).entries()) {
    const { norm, part: weights } = at(halves, index);
    const own = { activations: at(activations.parts, index), state: at(state.halves, index) };
    partOf(part).forward(
      program,
      config,
      { norm, weights, residual, normed, ...own },
      { batch, seqlen, isStep, label },
    );
  }
  recordPool(program, config, tensors, { batch, seqlen });
}

function recordPool(
  program: CpuProgram,
  { d_model, norm_epsilon }: ModelConfig,
  { weights, state: { pool_state }, activations: { residual, normed, pooled } }: ForwardTensors,
  { batch, seqlen }: ForwardShape,
): void {
  if (pool_state === undefined) return;
  rmsNormFwd(
    program,
    { x: residual, weight: weights.norm_f, y: normed },
    { rows: batch * seqlen, d_model, eps: norm_epsilon, label: "norm_f" },
  );
  meanPoolFwd(
    program,
    { x: normed, pool_state, y: pooled },
    { batch, seqlen, d_model, label: "pool" },
  );
}

/** Records norm_f and head for the last step of each sequence, into state.logits (batch, logits). */
export function recordLastLogits(
  program: CpuProgram,
  { d_model, norm_epsilon: eps }: ModelConfig,
  { weights: { head, norm_f }, state, activations: { residual, normed, pooled } }: ForwardTensors,
  { batch, seqlen, isStep }: ForwardShape,
): void {
  const { weight, bias } = head;
  const y = state.logits;
  const last = { ldX: seqlen * d_model, xOffset: (seqlen - 1) * d_model };
  if (state.pool_state !== undefined) {
    const tensors = { x: pooled, weight, bias, y };
    product(isStep)(program, tensors, { rows: batch, ...last, label: "head" });
  } else if (isStep || batch <= MATVEC_MAX_ROWS) {
    matvecFwd(
      program,
      { x: residual, weight, bias, y },
      { rows: batch, ...last, label: "head" },
      { norm: { weight: norm_f, eps } },
    );
  } else {
    rmsNormFwd(
      program,
      { x: residual, weight: norm_f, y: normed },
      { rows: batch, d_model, eps, ...last, label: "norm_f" },
    );
    linearFwd(program, { x: normed, weight, bias, y }, { rows: batch, label: "head" });
  }
}

/** Records norm_f and head for every step, into `logits` (batch, seqlen, logits). */
export function recordAllLogits(
  program: CpuProgram,
  { d_model, norm_epsilon }: ModelConfig,
  { weights, state, activations: { residual, normed, pooled } }: ForwardTensors,
  { batch, seqlen, logits }: ForwardShape & { readonly logits: CpuTensor },
): void {
  const rows = batch * seqlen;
  const isPooled = state.pool_state !== undefined;
  if (!isPooled) {
    rmsNormFwd(
      program,
      { x: residual, weight: weights.norm_f, y: normed },
      { rows, d_model, eps: norm_epsilon, label: "norm_f" },
    );
  }
  const { weight, bias } = weights.head;
  linearFwd(
    program,
    { x: isPooled ? pooled : normed, weight, bias, y: logits },
    { rows, label: "head" },
  );
}

/** In a step a product has the same sums however many its rows are. */
function product(isStep = false): typeof linearFwd {
  return isStep ? (program, tensors, shape) => matvecFwd(program, tensors, shape) : linearFwd;
}

/** An item of a list that has one for each half. */
function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Cannot run half ${index} of ${list.length}`);
  return item;
}
