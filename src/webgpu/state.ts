/** The state of a session: everything that the next token depends on, in one GPU buffer, so that it copies as one. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, OFFSET_ALIGNMENT, type Tensor } from "../gpu/tensor.ts";
import { elementCount, roundUp } from "../model/shapes.ts";
import { RING } from "../model/sampler.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { layerStateShapes } from "./mixer.ts";

/** What one layer carries from step to step. */
export interface LayerState {
  /**
   * The last d_conv inputs of each channel of conv1d, newest last, as the official code keeps it: (batch, d_inner,
   * d_conv), in Mamba-2 (batch, d_inner + 2 ngroups d_state, d_conv).
   */
  readonly conv_state: Tensor;
  /** (batch, d_inner, d_state), in Mamba-2 (batch, nheads, headdim, d_state). */
  readonly ssm_state: Tensor;
}

/** The state of `batch` independent sequences. All of it lies in `buffer`. */
export interface State extends Disposable {
  readonly batch: number;
  readonly buffer: Tensor;
  readonly layers: readonly LayerState[];
  /** The running mean of a classifier, then its count for each channel: (batch, 2, d_model). */
  readonly pool_state: Tensor | undefined;
  /** The token that the next step consumes: (batch), u32. */
  readonly tokens: Tensor;
  /** How many tokens were drawn: (batch), u32. */
  readonly draws: Tensor;
  /** The latest draws: (batch, RING, 2), id and bits of the log-probability. */
  readonly ring: Tensor;
  /** Bitmap of the ids consumed: (batch, ceil(vocab_size / 32)). */
  readonly seen: Tensor | undefined;
  /** Logits of the latest step: (batch, vocab_size or n_classes). */
  readonly logits: Tensor;
}

/** A named part of the state, as snapshots store it. */
export interface StatePart {
  readonly name: string;
  readonly dtype: "F32" | "U32";
  readonly tensor: Tensor;
}

/** Number of logits a step gives. */
export function logitCount(config: ModelConfig): number {
  return config.head.kind === "lm" ? config.head.vocab_size : config.head.n_classes;
}

/** Bytes that one sequence's recurrence takes: conv_state and ssm_state of all layers, and a classifier's mean. */
export function stateBytes(config: ModelConfig): number {
  const { conv_state, ssm_state } = layerStateShapes(config);
  const layers = config.n_layer * (elementCount(conv_state) + elementCount(ssm_state)) * 4;
  return layers + (poolsMean(config) ? 2 * config.d_model * 4 : 0);
}

function poolsMean(config: ModelConfig): boolean {
  return config.head.kind === "classifier" && config.head.pool === "mean";
}

/** Allocates a state of zeros: the state before the first step. */
export function createState(gpu: Gpu, config: ModelConfig, batch: number): State {
  const { d_model, input } = config;
  const shapes: number[][] = [
    [batch],
    [batch],
    [batch, RING, 2],
    [batch, input.kind === "embedding" ? Math.ceil(input.vocab_size / 32) : 1],
    [batch, logitCount(config)],
    [batch, 2, poolsMean(config) ? d_model : 1],
  ];
  const { conv_state, ssm_state } = layerStateShapes(config);
  for (let layer = 0; layer < config.n_layer; layer++) {
    shapes.push([batch, ...conv_state], [batch, ...ssm_state]);
  }
  const offsets: number[] = [];
  let sizeBytes = 0;
  for (const shape of shapes) {
    offsets.push(sizeBytes);
    sizeBytes += roundUp(elementCount(shape) * 4, OFFSET_ALIGNMENT);
  }
  const buffer = createTensor(gpu, "state", [sizeBytes / 4]);
  const part = (index: number): Tensor => buffer.view(offsets[index] ?? 0, shapes[index] ?? []);
  return {
    batch,
    buffer,
    tokens: part(0),
    draws: part(1),
    ring: part(2),
    seen: input.kind === "embedding" ? part(3) : undefined,
    logits: part(4),
    pool_state: poolsMean(config) ? part(5) : undefined,
    layers: Array.from({ length: config.n_layer }, (_, layer) => ({
      conv_state: part(6 + 2 * layer),
      ssm_state: part(7 + 2 * layer),
    })),
    [Symbol.dispose](): void {
      buffer[Symbol.dispose]();
    },
  };
}

/** The parts that a snapshot keeps, by name. The ring is only a way out for results. */
export function stateParts(state: State): StatePart[] {
  const parts: StatePart[] = state.layers.flatMap(({ conv_state, ssm_state }, layer) => [
    { name: `layers.${layer}.conv_state`, dtype: "F32", tensor: conv_state },
    { name: `layers.${layer}.ssm_state`, dtype: "F32", tensor: ssm_state },
  ]);
  if (state.pool_state !== undefined) {
    parts.push({ name: "pool_state", dtype: "F32", tensor: state.pool_state });
  }
  if (state.seen !== undefined) {
    parts.push({ name: "seen", dtype: "U32", tensor: state.seen });
    parts.push({ name: "tokens", dtype: "U32", tensor: state.tokens });
    parts.push({ name: "draws", dtype: "U32", tensor: state.draws });
  }
  parts.push({ name: "logits", dtype: "F32", tensor: state.logits });
  return parts;
}
