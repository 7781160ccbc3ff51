/** What a training pass keeps of its forward half for its backward half, and where gradients of activations go. */

import { blockHalves, sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount, poolsMean } from "../model/ends.ts";
import type { BlockPart } from "../model/mixers/mixer.ts";
import type { BatchShape } from "../model/training_executor.ts";
import { ownParts } from "../runtime/own_parts.ts";
import { MAX_MEMORY_BYTES } from "./memory.ts";
import { partOf, trainingOf } from "./mixers/mixers.ts";
import type { Cpu } from "./module.ts";
import { rmsNormBwdParts } from "./ops/training/rms_norm_bwd.ts";
import { type CpuTensor, createCpuTensor, elementCount } from "./tensor.ts";

/** Tensors by name. */
type Named = Readonly<Record<string, CpuTensor>>;

/** What one half of a block keeps. */
export interface HalfActivations {
  /** Its output: the residual stream (rows, d_model). */
  readonly residual: CpuTensor;
  /** RMSNorm of its input (rows, d_model). */
  readonly normed: CpuTensor;
  /** What its part's ops write. */
  readonly activations: Named;
  /** The state that the sequences began with. */
  readonly initial: Named;
  /** The state at the end; of a piece that is kept at borders, (batch, chunks + 1, ...), and the same as `initial`'s. */
  readonly state: Named;
}

/** Where gradients inside a part go. */
export interface PartGradients {
  /** Of its activations. */
  readonly activations: Named;
  /** Of the state that the sequences began with. */
  readonly state: Named;
}

/** Everything a training pass of one shape needs beside the parameters. */
export interface TrainingActivations extends Disposable {
  readonly shape: BatchShape;
  /** Token ids (batch, seqlen) or floats (batch, seqlen, d_input). */
  readonly inputs: CpuTensor;
  /** The residual stream before the first block. */
  readonly embedded: CpuTensor;
  readonly halves: readonly HalfActivations[];
  /** norm_f of the last block's output, and a classifier's pooled mean (batch, seqlen, d_model). */
  readonly normed: CpuTensor;
  readonly pooled: CpuTensor;
  /** In a classifier that pools the mean. */
  readonly pool_state: CpuTensor | undefined;
  /** Logits, then their gradients, in place: (rows, logits), a row for each target. */
  readonly logits: CpuTensor;
  /** One for each row of logits. */
  readonly targets: CpuTensor;
  readonly losses: CpuTensor;
  /** Zeros: what a classifier's mean begins with. */
  readonly zeros: CpuTensor;
  /** Gradients of activations. */
  readonly grad: {
    readonly residual: CpuTensor;
    readonly normed: CpuTensor;
    /** Of the head's input, for a classifier: (batch, d_model). */
    readonly last: CpuTensor;
    /** Of what is inside each half of a block; halves of one kind use the same. */
    readonly parts: readonly PartGradients[];
  };
  /** Partial sums on their way to a parameter's gradient. */
  readonly partials: CpuTensor;
}

/** Rows of logits: one a step for a language model, one a sequence for a classifier. */
export function targetRows(config: ModelConfig, { batch, seqlen }: BatchShape): number {
  return config.head.kind === "lm" ? batch * seqlen : batch;
}

/** Makes a tensor; the last dimensions may be those of one state. */
type Make = (label: string, ...dimensions: number[]) => CpuTensor;

/**
 * Allocates what a training pass of this shape needs.
 *
 * @throws {RangeError} If it does not fit in the module's memory.
 */
export function createTrainingActivations(
  cpu: Cpu,
  config: ModelConfig,
  shape: BatchShape,
): TrainingActivations {
  const { batch, seqlen } = shape;
  const { d_model } = config;
  const rows = batch * seqlen;
  return ownParts((own) => {
    const make: Make = (label, ...dimensions) => {
      const sizeBytes = cpu.memory.live.sizeBytes + 4 * elementCount(dimensions);
      if (sizeBytes > MAX_MEMORY_BYTES) {
        throw new RangeError(
          `Cannot train on batches of ${batch} x ${seqlen} steps: with ${label} they take ${sizeBytes} bytes, and the CPU ` +
            `executor reaches ${MAX_MEMORY_BYTES}. Use smaller batches, several of which accumulation adds up, or a shorter seqlen`,
        );
      }
      return own(createCpuTensor(cpu, label, dimensions));
    };
    const logitRows = targetRows(config, shape);
    return {
      shape,
      inputs: make("inputs", rows, inputWidth(config)),
      normed: make("normed", rows, d_model),
      pooled: make("pooled", poolsMean(config) ? rows : 0, d_model),
      halves: blockHalves(config).map(({ part }) => ({
        residual: make("residual", rows, d_model),
        normed: make("normed", rows, d_model),
        activations: makeAll(partOf(part).activationSizes(config, rows), make),
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
        parts: sharedByPart(config, (part) => ({
          activations: makeAll(trainingOf(part).gradientSizes(config, shape), make),
          state: mapShapes(config, part, (name, own) => make(`grad_${name}`, batch, ...own)),
        })),
      },
      partials: make(
        "partials",
        Math.max(
          rmsNormBwdParts(rows) * d_model,
          ...sharedByPart(config, (part) => trainingOf(part).partialElements(config, shape)),
        ),
      ),
    };
  });
}

function makeAll(sizes: Readonly<Record<string, number>>, make: Make): Named {
  return Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, make(name, size)]));
}

/** States of a half: at both ends of the sequences, or at every border of chunks. */
function keptStates(
  config: ModelConfig,
  part: BlockPart,
  { batch, seqlen }: BatchShape,
  make: Make,
): { initial: Named; state: Named } {
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
  make: (name: string, shape: readonly number[]) => CpuTensor | undefined,
): Named {
  const tensors: Record<string, CpuTensor> = {};
  for (const [name, shape] of Object.entries(part.stateShapes(config))) {
    const tensor = make(name, shape);
    if (tensor !== undefined) tensors[name] = tensor;
  }
  return tensors;
}
