/** What a training pass keeps of its forward half for its backward half, and where gradients of activations go. */

import { blockHalves, sharedByPart } from "../../model/blocks.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { inputWidth, logitCount, poolsMean } from "../../model/ends.ts";
import type { BlockPart } from "../../model/mixers/mixer.ts";
import { elementCount, roundUp } from "../../model/shapes.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import { MATRIX_ROW_STEP } from "../../model/weights/dtype.ts";
import { weightSpecs } from "../../model/weights/weight_specs.ts";
import { ownParts } from "../../runtime/own_parts.ts";
import type { PassKinds } from "../kinds.ts";
import type { Named } from "../ops/op.ts";
import type { Platform } from "../platform.ts";
import { makeTogether } from "../together.ts";

/** What one half of a block keeps. */
export interface HalfActivations<K extends PassKinds> {
  /** Its output: the residual stream (rows, d_model). */
  readonly residual: K["tensor"];
  /** RMSNorm of its input (rows, d_model), or a place for it that all halves share. */
  readonly normed: K["tensor"];
  /** What its part's ops write. */
  readonly activations: Named<string, K["tensor"]>;
  /** The state that the sequences began with. */
  readonly initial: Named<string, K["tensor"]>;
  /** The state at the end; of a piece that is kept at borders, (batch, chunks + 1, ...), and the same as `initial`'s. */
  readonly state: Named<string, K["tensor"]>;
}

/** Everything a training pass of one shape needs beside the parameters. */
export interface TrainingActivations<K extends PassKinds> extends Disposable {
  readonly shape: BatchShape;
  /** Token ids (batch, seqlen) or floats (batch, seqlen, d_input). */
  readonly inputs: K["tensor"];
  /** The residual stream before the first block. */
  readonly embedded: K["tensor"];
  readonly halves: readonly HalfActivations<K>[];
  /** norm_f of the last block's output, and a classifier's pooled mean (batch, seqlen, d_model). */
  readonly normed: K["tensor"];
  readonly pooled: K["tensor"];
  /** In a classifier that pools the mean. */
  readonly pool_state: K["tensor"] | undefined;
  /** Logits, then their gradients, in place: (rows, logits), a row for each target. */
  readonly logits: K["tensor"];
  /** One for each row of logits. */
  readonly targets: K["tensor"];
  readonly losses: K["tensor"];
  /** Zeros: what a classifier's mean begins with. */
  readonly zeros: K["tensor"];
  /** Gradients of activations. */
  readonly grad: {
    readonly residual: K["tensor"];
    readonly normed: K["tensor"];
    /** Of the head's input, for a classifier: (batch, d_model). */
    readonly last: K["tensor"];
    /** What backward of each half of a block works in; halves of one kind use the same. */
    readonly parts: readonly Named<string, K["tensor"]>[];
  };
  /** Partial sums on their way to a parameter's gradient. */
  readonly partials: K["tensor"];
}

/** Rows of logits: one a step for a language model, one a sequence for a classifier. */
export function targetRows(config: ModelConfig, { batch, seqlen }: BatchShape): number {
  return config.head.kind === "lm" ? batch * seqlen : batch;
}

/** Elements of the largest partial sums of any parameter's gradient. */
function partialElements<K extends PassKinds>(
  { ops, parts, matmulBwdWScratch }: Platform<K>,
  config: ModelConfig,
  shape: BatchShape,
): number {
  const { d_model, input } = config;
  const rows = shape.batch * shape.seqlen;
  const logitRows = targetRows(config, shape);
  const matrices = weightSpecs(config).filter(({ kind }) => kind === "matrix").map((spec) => {
    const [out = 0, columns = 0] = spec.shape;
    const isHead = spec.name === "classifier.weight" || spec.name === "lm_head.weight";
    const matrix = { rows: out, columns, stride: roundUp(columns, MATRIX_ROW_STEP) };
    return matmulBwdWScratch(matrix, isHead ? logitRows : rows);
  });
  const table = input.kind === "embedding"
    ? ops.embeddingBwdParts(rows, input.vocab_size) * input.vocab_size *
      roundUp(d_model, MATRIX_ROW_STEP)
    : 0;
  return Math.max(
    ...matrices,
    table,
    ...sharedByPart(config, (part) => parts.trainingOf(part).partialElements(config, shape)),
    ops.rmsNormBwdParts(rows) * d_model,
    ops.columnSumScratch(rows, d_model),
    ops.columnSumScratch(logitRows, logitCount(config)),
  );
}

/** Makes a tensor; the last dimensions may be those of one state. */
type Make<K extends PassKinds> = (label: string, ...dimensions: number[]) => K["tensor"];

/**
 * Allocates what a training pass of this shape needs.
 *
 * @throws {RangeError} If there is no room for it.
 */
export function createTrainingActivations<K extends PassKinds>(
  platform: Platform<K>,
  config: ModelConfig,
  shape: BatchShape,
): TrainingActivations<K> {
  const { ops, parts } = platform;
  const { batch, seqlen } = shape;
  const { d_model } = config;
  const rows = batch * seqlen;
  return ownParts((own) => {
    const make: Make<K> = (label, ...dimensions) => {
      const lack = platform.lackOfRoom(label, 4 * elementCount(dimensions));
      if (lack !== undefined) {
        throw new RangeError(
          `Cannot train on batches of ${batch} x ${seqlen} steps: ${lack}. ` +
            "Use smaller batches, several of which accumulation adds up, or a shorter seqlen",
        );
      }
      return own(platform.createTensor(label, dimensions));
    };
    // What backward computes again needs no tensor of each half's own.
    const shared = sharedByPart(config, () => new Map<string, K["tensor"]>());
    const logitRows = targetRows(config, shape);
    const normed = make("normed", rows, d_model);
    return {
      shape,
      inputs: make("inputs", rows, inputWidth(config)),
      normed,
      pooled: make("pooled", poolsMean(config) ? rows : 0, d_model),
      halves: blockHalves(config).map(({ part }, index) => ({
        residual: make("residual", rows, d_model),
        normed: ops.recomputes ? normed : make("normed", rows, d_model),
        activations: partActivations(
          platform,
          config,
          part,
          shape,
          make,
          shared[index] ?? new Map(),
        ),
        ...keptStates(platform, config, part, shape, make),
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
        parts: sharedByPart(config, (part) => {
          const training = parts.trainingOf(part);
          const sizes = training.scratchSizes(config, shape);
          return makeTogether<K["tensor"]>(sizes, training.together, make);
        }),
      },
      partials: make("partials", partialElements(platform, config, shape)),
    };
  });
}

/** What a part's forward writes, each half's own but for what backward computes again. */
function partActivations<K extends PassKinds>(
  { ops, parts }: Platform<K>,
  config: ModelConfig,
  part: BlockPart,
  { batch, seqlen }: BatchShape,
  make: Make<K>,
  shared: Map<string, K["tensor"]>,
): Named<string, K["tensor"]> {
  const own = parts.of(part);
  const { recomputed } = parts.trainingOf(part);
  const sizes = own.activationSizes(config, { rows: batch * seqlen, batch, keepsStates: true });
  return makeTogether<K["tensor"]>(sizes, own.together, (name, size) => {
    if (!ops.recomputes || !recomputed.has(name)) return make(name, size);
    const found = shared.get(name) ?? make(name, size);
    shared.set(name, found);
    return found;
  });
}

/** States of a half: at both ends of the sequences, or at every border of chunks. */
function keptStates<K extends PassKinds>(
  { parts }: Platform<K>,
  config: ModelConfig,
  part: BlockPart,
  { batch, seqlen }: BatchShape,
  make: Make<K>,
): { initial: Named<string, K["tensor"]>; state: Named<string, K["tensor"]> } {
  const { chunk, keeps } = parts.trainingOf(part);
  const slots = Math.ceil(seqlen / chunk) + 1;
  const initial = mapShapes<K>(
    config,
    part,
    (name, own) =>
      keeps[name] === "borders"
        ? make(`${name}_borders`, batch, slots, ...own)
        : make(`${name}_initial`, batch, ...own),
  );
  const state = mapShapes<K>(
    config,
    part,
    (name, own) => keeps[name] === "borders" ? initial[name] : make(name, batch, ...own),
  );
  return { initial, state };
}

/** Something by the names of what a part carries. */
function mapShapes<K extends PassKinds>(
  config: ModelConfig,
  part: BlockPart,
  make: (name: string, shape: readonly number[]) => K["tensor"] | undefined,
): Named<string, K["tensor"]> {
  const tensors: Record<string, K["tensor"]> = {};
  for (const [name, shape] of Object.entries(part.stateShapes(config))) {
    const tensor = make(name, shape);
    if (tensor !== undefined) tensors[name] = tensor;
  }
  return tensors;
}
