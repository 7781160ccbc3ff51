/** What a training pass keeps of its forward half for its backward half, and where gradients of activations go. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { elementCount, roundUp } from "../model/shapes.ts";
import { embeddingBwdParts } from "../ops/embedding_bwd.ts";
import { columnSumScratch, matmulBwdWScratch } from "../ops/linear_bwd.ts";
import { MATRIX_ROW_STEP } from "../model/dtype.ts";
import { rmsNormBwdParts } from "../ops/rms_norm_bwd.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { layerStateShapes } from "./mixer.ts";
import {
  type MixerGradients,
  mixerGradients,
  mixerPartialElements,
  trainingChunk,
  trainingScratch,
} from "./mixer_bwd.ts";
import type { Scratch } from "./activations.ts";
import { logitCount } from "./state.ts";
import { weightSpecs } from "../model/weights.ts";

/** Size of a training pass. */
export interface BatchShape {
  readonly batch: number;
  readonly seqlen: number;
}

/** What one layer keeps. */
export interface LayerActivations {
  /** What the layer's ops write; `residual` is the block's output. */
  readonly scratch: Scratch;
  /** The window that conv1d began with: (batch, channels, d_conv). */
  readonly conv_initial: Tensor;
  /** The window that it ended with. */
  readonly conv_state: Tensor;
  /** States at chunk borders: (batch, chunks + 1, ...), as one state is shaped. */
  readonly ssm_states: Tensor;
}

/** Everything a training pass of one shape needs beside the parameters. */
export interface Activations extends Disposable {
  readonly shape: BatchShape;
  /** Token ids (batch, seqlen) or floats (batch, seqlen, d_input). */
  readonly inputs: Tensor;
  /** The residual stream before the first block. */
  readonly embedded: Tensor;
  readonly layers: readonly LayerActivations[];
  /** norm_f of the last block's output, and a classifier's pooled mean (batch, seqlen, d_model). */
  readonly normed: Tensor;
  readonly pooled: Tensor;
  readonly pool_state: Tensor;
  /** Logits, then their gradients, in place: (rows, logits), a row for each target. */
  readonly logits: Tensor;
  /** One for each row of logits. */
  readonly targets: Tensor;
  readonly losses: Tensor;
  /** Steps between kept states of the scan. */
  readonly chunk: number;
  /** Zeros: what a sequence's state and a classifier's mean begin with. */
  readonly zeros: Tensor;
  /** Gradients of activations, shared by all layers. */
  readonly grad: {
    readonly residual: Tensor;
    readonly normed: Tensor;
    /** Of the head's input, for a classifier: (batch, d_model). */
    readonly last: Tensor;
    /** Of what is inside a block. */
    readonly mixer: MixerGradients;
    readonly ssm_state: Tensor;
    readonly conv_state: Tensor;
  };
  /** Partial sums on their way to a parameter's gradient. */
  readonly partials: Tensor;
}

/** Rows of logits: one a step for a language model, one a sequence for a classifier. */
export function targetRows(config: ModelConfig, { batch, seqlen }: BatchShape): number {
  return config.head.kind === "lm" ? batch * seqlen : batch;
}

/** Elements of the largest partial sums of any parameter's gradient. */
function partialElements(gpu: Gpu, config: ModelConfig, shape: BatchShape): number {
  const { d_model, input } = config;
  const rows = shape.batch * shape.seqlen;
  const logitRows = targetRows(config, shape);
  const matrices = weightSpecs(config).filter(({ kind }) => kind === "matrix").map((spec) => {
    const [out = 0, columns = 0] = spec.shape;
    const isHead = spec.name === "classifier.weight" || spec.name === "lm_head.weight";
    const matrix = { rows: out, columns, stride: roundUp(columns, MATRIX_ROW_STEP) };
    return matmulBwdWScratch(gpu, matrix, isHead ? logitRows : rows);
  });
  const table = input.kind === "embedding"
    ? embeddingBwdParts(rows, input.vocab_size) * input.vocab_size *
      roundUp(d_model, MATRIX_ROW_STEP)
    : 0;
  return Math.max(
    ...matrices,
    table,
    mixerPartialElements(config, shape),
    rmsNormBwdParts(rows) * d_model,
    columnSumScratch(rows, d_model),
    columnSumScratch(logitRows, logitCount(config)),
  );
}

/**
 * Allocates what a training pass of this shape needs.
 *
 * @throws {RangeError} If a part of it does not fit in one binding of the device.
 */
export function createActivations(gpu: Gpu, config: ModelConfig, shape: BatchShape): Activations {
  const { batch, seqlen } = shape;
  const { d_model, input } = config;
  const { conv_state, ssm_state } = layerStateShapes(config);
  const rows = batch * seqlen;
  const owned: Tensor[] = [];
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const make = (label: string, ...dimensions: number[]): Tensor => {
    const sizeBytes = 4 * elementCount(dimensions);
    if (sizeBytes > most) {
      for (const tensor of owned) tensor[Symbol.dispose]();
      throw new RangeError(
        `Cannot train on batches of ${batch} x ${seqlen} steps: ${label} takes ${sizeBytes} bytes in one binding, and ` +
          `${gpu.name} has at most ${most}. Use smaller batches, several of which accumulation adds up, or a shorter seqlen`,
      );
    }
    const tensor = createTensor(gpu, label, dimensions);
    owned.push(tensor);
    return tensor;
  };
  const inputs = make("inputs", rows, input.kind === "linear" ? input.d_input : 1);
  const normed = make("normed", rows, d_model);
  const pooled = make("pooled", rows, d_model);
  const chunk = trainingChunk(config);
  const shared = new Map<string, Tensor>();
  const chunks = Math.ceil(seqlen / chunk);
  const layers = Array.from({ length: config.n_layer }, () => ({
    scratch: {
      rows,
      inputs,
      normed,
      pooled,
      residual: make("residual", rows, d_model),
      mixer: trainingScratch(config, shape, make, shared),
      [Symbol.dispose]: () => {},
    },
    conv_initial: make("conv_initial", batch, ...conv_state),
    conv_state: make("conv_state", batch, ...conv_state),
    ssm_states: make("ssm_states", batch, chunks + 1, ...ssm_state),
  }));
  const logitRows = targetRows(config, shape);
  return {
    shape,
    inputs,
    embedded: make("embedded", rows, d_model),
    layers,
    normed,
    pooled,
    pool_state: make("pool_state", batch, 2, d_model),
    logits: make("logits", logitRows, logitCount(config)),
    targets: make("targets", logitRows),
    losses: make("losses", logitRows),
    chunk,
    zeros: make("zeros", batch, 2, d_model),
    grad: {
      residual: make("grad_residual", rows, d_model),
      normed: make("grad_normed", rows, d_model),
      last: make("grad_last", batch, d_model),
      mixer: mixerGradients(config, shape, chunk, make),
      ssm_state: make("grad_ssm_state", batch, ...ssm_state),
      conv_state: make("grad_conv_state", batch, ...conv_state),
    },
    partials: make("partials", partialElements(gpu, config, shape)),
    [Symbol.dispose](): void {
      for (const tensor of owned) tensor[Symbol.dispose]();
    },
  };
}
