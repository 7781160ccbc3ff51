/** The model: input -> blocks -> norm_f -> head, recorded as one program. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { embeddingFwd } from "../ops/embedding.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../ops/linear.ts";
import { meanPoolFwd } from "../ops/mean_pool.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { blockFwd } from "./mixer.ts";
import type { Scratch } from "./activations.ts";
import type { State } from "./state.ts";
import type { ModelWeights } from "../model/weights.ts";

/** What a forward pass works on. */
export interface ForwardTensors {
  readonly weights: ModelWeights;
  readonly state: State;
  readonly scratch: Scratch;
  /** Token ids (batch, seqlen): state.tokens for a step, scratch.inputs for a sequence. Not used by a linear input. */
  readonly ids: Tensor;
}

/** Size of a forward pass. */
export interface ForwardShape {
  readonly batch: number;
  readonly seqlen: number;
}

/** Records input and blocks: afterwards scratch.residual holds the last block's output, and the state has moved on. */
export function recordBlocks(
  program: Program,
  config: ModelConfig,
  { weights, state, scratch, ids }: ForwardTensors,
  { batch, seqlen }: ForwardShape,
): void {
  const { input } = weights;
  if (config.input.kind === "embedding") {
    embeddingFwd(
      program,
      {
        ids,
        weight: input.weight,
        y: scratch.residual,
        ...(state.seen ? { seen: state.seen } : {}),
      },
      { batch, seqlen, label: "embedding" },
    );
  } else {
    linearFwd(
      program,
      { x: scratch.inputs, weight: input.weight, bias: input.bias, y: scratch.residual },
      { rows: batch * seqlen, label: "input_proj" },
    );
  }
  for (const [index, layer] of weights.layers.entries()) {
    const layerState = state.layers[index];
    if (layerState === undefined) {
      throw new RangeError(`Cannot run layer ${index}: the state has none`);
    }
    blockFwd(
      program,
      config,
      { norm: layer.norm, weights: layer.mixer, state: layerState, scratch },
      { batch, seqlen, label: `layers.${index}` },
    );
  }
}

/**
 * Records norm_f and head for the last step of each sequence, into state.logits (batch, logits).
 *
 * A classifier that pools the mean has {@linkcode recordPool} recorded before.
 */
export function recordLastLogits(
  program: Program,
  config: ModelConfig,
  { weights, state, scratch }: ForwardTensors,
  { batch, seqlen }: ForwardShape,
): void {
  const { d_model, norm_epsilon } = config;
  const { head, norm_f } = weights;
  const last = { ldX: seqlen * d_model, xOffset: (seqlen - 1) * d_model };
  if (state.pool_state !== undefined) {
    linearFwd(
      program,
      { x: scratch.pooled, weight: head.weight, bias: head.bias, y: state.logits },
      { rows: batch, ...last, label: "head" },
    );
  } else if (batch <= MATVEC_MAX_ROWS) {
    matvecFwd(
      program,
      { x: scratch.residual, weight: head.weight, bias: head.bias, y: state.logits },
      { rows: batch, ...last, label: "head" },
      { norm: { weight: norm_f, eps: norm_epsilon } },
    );
  } else {
    rmsNormFwd(
      program,
      { x: scratch.residual, weight: norm_f, y: scratch.normed },
      { rows: batch, d_model, eps: norm_epsilon, ...last, label: "norm_f" },
    );
    linearFwd(
      program,
      { x: scratch.normed, weight: head.weight, bias: head.bias, y: state.logits },
      { rows: batch, label: "head" },
    );
  }
}

/** Records the running mean of a classifier over all steps, into scratch.pooled; nothing for other models. */
export function recordPool(
  program: Program,
  config: ModelConfig,
  { weights, state, scratch }: ForwardTensors,
  { batch, seqlen }: ForwardShape,
): void {
  if (state.pool_state === undefined) return;
  const { d_model, norm_epsilon } = config;
  rmsNormFwd(
    program,
    { x: scratch.residual, weight: weights.norm_f, y: scratch.normed },
    { rows: batch * seqlen, d_model, eps: norm_epsilon, label: "norm_f" },
  );
  meanPoolFwd(
    program,
    { x: scratch.normed, pool_state: state.pool_state, y: scratch.pooled },
    { batch, seqlen, d_model, label: "pool" },
  );
}

/** Records norm_f and head for every step, into `logits` (batch, seqlen, logits). */
export function recordAllLogits(
  program: Program,
  config: ModelConfig,
  { weights, state, scratch }: ForwardTensors,
  { batch, seqlen, logits }: ForwardShape & { readonly logits: Tensor },
): void {
  const { d_model, norm_epsilon } = config;
  const rows = batch * seqlen;
  if (state.pool_state === undefined) {
    rmsNormFwd(
      program,
      { x: scratch.residual, weight: weights.norm_f, y: scratch.normed },
      { rows, d_model, eps: norm_epsilon, label: "norm_f" },
    );
  }
  linearFwd(
    program,
    {
      x: state.pool_state === undefined ? scratch.normed : scratch.pooled,
      weight: weights.head.weight,
      bias: weights.head.bias,
      y: logits,
    },
    { rows, label: "head" },
  );
}
