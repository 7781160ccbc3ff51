/** What a training pass keeps of its forward half for its backward half, and where gradients of activations go. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { blockHalves, sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { MATRIX_ROW_STEP } from "../model/weights/dtype.ts";
import { inputWidth, logitCount, poolsMean } from "../model/ends.ts";
import type { BlockPart } from "../model/mixers/mixer.ts";
import { elementCount, roundUp } from "../model/shapes.ts";
import type { BatchShape } from "../model/training_executor.ts";
import { weightSpecs } from "../model/weights/weight_specs.ts";
import { embeddingBwdParts } from "../ops/training/embedding_bwd.ts";
import { columnSumScratch, matmulBwdWScratch } from "../ops/training/linear_bwd.ts";
import { rmsNormBwdParts } from "../ops/training/rms_norm_bwd.ts";
import { partOf, trainingOf } from "./mixers/mixers.ts";
import type { StateTensors } from "./mixers/part.ts";

/** What one half of a block keeps. */
export interface HalfActivations {
  /** Its output: the residual stream (rows, d_model). */
  readonly residual: Tensor;
  /** What its part's ops write. */
  readonly activations: object;
  /** The state that the sequences began with. */
  readonly initial: StateTensors;
  /** The state at the end; of a piece that is kept at borders, (batch, chunks + 1, ...), and the same as `initial`'s. */
  readonly state: StateTensors;
}

/** Everything a training pass of one shape needs beside the parameters. */
export interface TrainingActivations extends Disposable {
  readonly shape: BatchShape;
  /** Token ids (batch, seqlen) or floats (batch, seqlen, d_input). */
  readonly inputs: Tensor;
  /** The residual stream before the first block. */
  readonly embedded: Tensor;
  readonly halves: readonly HalfActivations[];
  /** norm_f of the last block's output, and a classifier's pooled mean (batch, seqlen, d_model). */
  readonly normed: Tensor;
  readonly pooled: Tensor;
  /** In a classifier that pools the mean. */
  readonly pool_state: Tensor | undefined;
  /** Logits, then their gradients, in place: (rows, logits), a row for each target. */
  readonly logits: Tensor;
  /** One for each row of logits. */
  readonly targets: Tensor;
  readonly losses: Tensor;
  /** Zeros: what a classifier's mean begins with. */
  readonly zeros: Tensor;
  /** Gradients of activations. */
  readonly grad: {
    readonly residual: Tensor;
    readonly normed: Tensor;
    /** Of the head's input, for a classifier: (batch, d_model). */
    readonly last: Tensor;
    /** Of what is inside each half of a block; halves of one kind use the same. */
    readonly parts: readonly object[];
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
    ...sharedByPart(config, (part) => trainingOf(part).partialElements(config, shape)),
    rmsNormBwdParts(rows) * d_model,
    columnSumScratch(rows, d_model),
    columnSumScratch(logitRows, logitCount(config)),
  );
}

/** Makes a tensor; the last dimensions may be those of one state. */
type Make = (label: string, ...dimensions: number[]) => Tensor;

/**
 * Allocates what a training pass of this shape needs.
 *
 * @throws {RangeError} If a part of it does not fit in one binding of the device.
 */
export function createTrainingActivations(
  gpu: Gpu,
  config: ModelConfig,
  shape: BatchShape,
): TrainingActivations {
  const { batch, seqlen } = shape;
  const { d_model } = config;
  const rows = batch * seqlen;
  const owned: Tensor[] = [];
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const make: Make = (label, ...dimensions) => {
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
  // What backward computes again needs no tensor of each half's own.
  const shared = sharedByPart(config, () => new Map<string, Tensor>());
  const logitRows = targetRows(config, shape);
  return {
    shape,
    inputs: make("inputs", rows, inputWidth(config)),
    normed: make("normed", rows, d_model),
    pooled: make("pooled", rows, d_model),
    halves: blockHalves(config).map(({ part }, index) => ({
      residual: make("residual", rows, d_model),
      activations: partActivations(config, part, shape, make, shared[index] ?? new Map()),
      ...keptStates(config, part, shape, make),
    })),
    embedded: make("embedded", rows, d_model),
    pool_state: poolsMean(config) ? make("pool_state", batch, 2, d_model) : undefined,
    logits: make("logits", logitRows, logitCount(config)),
    targets: make("targets", logitRows),
    losses: make("losses", logitRows),
    zeros: make("zeros", batch, 2, d_model),
    grad: {
      residual: make("grad_residual", rows, d_model),
      normed: make("grad_normed", rows, d_model),
      last: make("grad_last", batch, d_model),
      parts: sharedByPart(config, (part) => trainingOf(part).gradients(config, shape, make)),
    },
    partials: make("partials", partialElements(gpu, config, shape)),
    [Symbol.dispose](): void {
      for (const tensor of owned) tensor[Symbol.dispose]();
    },
  };
}

/** What a part's forward writes, each half's own but for what backward computes again. */
function partActivations(
  config: ModelConfig,
  part: BlockPart,
  { batch, seqlen }: BatchShape,
  make: Make,
  shared: Map<string, Tensor>,
): object {
  const size = { rows: batch * seqlen, batch, keepsStates: true };
  const sizes = partOf(part).activationSizes(config, size);
  const { recomputed } = trainingOf(part);
  return partOf(part).activations((name) => {
    if (!recomputed.has(name)) return make(name, sizes[name] ?? 0);
    const found = shared.get(name) ?? make(name, sizes[name] ?? 0);
    shared.set(name, found);
    return found;
  });
}

/** States of a half: at both ends of the sequences, or at every border of chunks. */
function keptStates(
  config: ModelConfig,
  part: BlockPart,
  { batch, seqlen }: BatchShape,
  make: Make,
): { initial: StateTensors; state: StateTensors } {
  const { chunk, keeps } = trainingOf(part);
  const slots = Math.ceil(seqlen / chunk) + 1;
  const initial = mapShapes(
    config,
    part,
    (name, own) =>
      keeps[name] === "borders"
        ? make(`${name}_borders`, batch, slots, ...own)
        : make(`${name}_initial`, batch, ...own),
  );
  const state = mapShapes(
    config,
    part,
    (name, own) => keeps[name] === "borders" ? initial[name] : make(name, batch, ...own),
  );
  return { initial, state };
}

/** Something by the names of what a part carries. */
function mapShapes(
  config: ModelConfig,
  part: BlockPart,
  make: (name: string, shape: readonly number[]) => Tensor | undefined,
): StateTensors {
  const tensors: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(part.stateShapes(config))) {
    const tensor = make(name, shape);
    if (tensor !== undefined) tensors[name] = tensor;
  }
  return tensors;
}
