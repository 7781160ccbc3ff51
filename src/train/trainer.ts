/** The trainer: parameters, gradients and moments on the GPU, and one step of training after the other. */

import type { Gpu } from "../gpu/device.ts";
import { Staging } from "../gpu/readback.ts";
import { encode, Program } from "../gpu/recorder.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { type Activations, createActivations } from "../model/activations.ts";
import type { ModelConfig } from "../model/config.ts";
import {
  createParameterSet,
  packParameter,
  type ParameterLayout,
  parameterLayout,
  type ParameterSet,
  unpackParameter,
} from "../model/parameters.ts";
import { recordBackward, recordLoss, recordTrainingForward } from "../model/training_pass.ts";
import { ADAMW_SCHEDULE_SIZE, adamwUpdate, encodeAdamwSchedule } from "../ops/adamw.ts";
import { CLIP_SIZE, gradNorm, gradNormStarts, type NormTerm } from "../ops/grad_norm.ts";
import { type Batch, IGNORED } from "./batches.ts";

/** How parameters follow their gradients: torch.optim.AdamW's settings. */
export interface OptimiserSettings {
  /** Decay of the gradient's average. */
  readonly beta1: number;
  /** Decay of its square's average. */
  readonly beta2: number;
  /** Added to the root of the square's average. */
  readonly eps: number;
  /** Decoupled; for matrices and convolutions only. */
  readonly weightDecay: number;
  /** The gradient's global norm is clipped at this; Infinity for no clipping. */
  readonly maxNorm: number;
  /**
   * Share of each block's output that is dropped in training, by a generator with this seed.
   *
   * @default {none}
   */
  readonly dropout?: { readonly probability: number; readonly seed: number } | undefined;
}

/** What a step gives. */
export interface StepResult {
  /** Mean cross-entropy over the batch's targets, in nats, before the update. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly norm: number;
}

/** Values by official tensor name, without padding. */
export type NamedValues = ReadonlyMap<string, Float32Array>;

/** What a batch of one shape needs. */
interface Passes extends Disposable {
  readonly activations: Activations;
  /** Forward, loss, backward, norm, update, by the number of targets that the mean is over. */
  readonly steps: Map<number, Program>;
  /** Forward; for a language model, the losses too. */
  readonly evaluate: Program;
}

/** What an evaluation gives of one batch, as sums over its targets. */
export interface Evaluation {
  /** Sum of the cross-entropies, in nats. */
  readonly loss: number;
  /** Targets counted. */
  readonly count: number;
  /** How many a classifier got right; undefined for a language model. */
  readonly correct: number | undefined;
}

/**
 * Trains a model's parameters on a device.
 *
 * Everything is f32, and every sum has a fixed order: the same parameters and batches give the same bits.
 */
export class Trainer implements Disposable {
  /** The model. */
  readonly config: ModelConfig;
  readonly #gpu: Gpu;
  readonly #settings: OptimiserSettings;
  readonly #layout: ParameterLayout;
  readonly #sets: {
    values: ParameterSet;
    gradients: ParameterSet;
    m: ParameterSet;
    v: ParameterSet;
  };
  readonly #schedule: Tensor;
  readonly #clip: Tensor;
  readonly #draw: Tensor;
  readonly #partials: Tensor;
  readonly #passes: Map<string, Passes> = new Map();
  #staging: Staging | undefined;
  #step = 0;

  /** Starts from given values, with moments of zero. */
  constructor(gpu: Gpu, config: ModelConfig, values: NamedValues, settings: OptimiserSettings) {
    this.#gpu = gpu;
    this.config = config;
    this.#settings = settings;
    this.#layout = parameterLayout(config);
    const make = (label: string) => createParameterSet(gpu, config, this.#layout, label);
    this.#sets = {
      values: make("weights"),
      gradients: make("gradients"),
      m: make("m"),
      v: make("v"),
    };
    this.#schedule = createTensor(gpu, "schedule", [ADAMW_SCHEDULE_SIZE]);
    this.#clip = createTensor(gpu, "clip", [CLIP_SIZE]);
    this.#draw = createTensor(gpu, "dropout_draw", [1]);
    this.#partials = createTensor(gpu, "norm_partials", [
      gradNormStarts(this.#sizes()).at(-1) ?? 1,
    ]);
    this.#write(this.#sets.values, values);
  }

  /** Steps made so far. */
  get step(): number {
    return this.#step;
  }

  /**
   * One step: forward, backward, clip, update.
   *
   * A norm that is not finite leaves the parameters as they were.
   */
  async train(batch: Batch, learningRate: number): Promise<StepResult> {
    const passes = this.#passesFor(batch);
    const { activations } = passes;
    const { beta1, beta2 } = this.#settings;
    this.#feed(passes, batch);
    this.#schedule.write(encodeAdamwSchedule(this.#step + 1, learningRate, { beta1, beta2 }));
    this.#draw.write(new Uint32Array([this.#step]));
    const program = this.#stepProgram(passes, batch.targetCount);
    const [losses, clip] = await this.#run(program, [activations.losses, this.#clip]);
    const norm = clip?.[1] ?? NaN;
    if (Number.isFinite(norm)) this.#step++;
    return { loss: sum(losses) / batch.targetCount, norm };
  }

  /** What the parameters, as they are, make of a batch. */
  async evaluate(batch: Batch): Promise<Evaluation> {
    const passes = this.#passesFor(batch);
    const { losses, logits } = passes.activations;
    this.#feed(passes, batch);
    const count = batch.targetCount;
    if (this.config.head.kind === "lm") {
      const [values] = await this.#run(passes.evaluate, [losses]);
      return { loss: sum(values), count, correct: undefined };
    }
    const [values = new Float32Array()] = await this.#run(passes.evaluate, [logits]);
    return { ...classify(values, batch.targets, this.config.head.n_classes), count };
  }

  /** The program of a whole step over batches of this shape: what benchmarks time. */
  stepProgramOf(batch: Batch): Program {
    return this.#stepProgram(this.#passesFor(batch), batch.targetCount);
  }

  /** The gradients of the latest step, by official name. */
  gradients(): Promise<Map<string, Float32Array>> {
    return this.#read(this.#sets.gradients);
  }

  /** The parameters, by official name. */
  values(): Promise<Map<string, Float32Array>> {
    return this.#read(this.#sets.values);
  }

  /** AdamW's averages, by official name: what resuming needs beside the parameters. */
  async moments(): Promise<{ m: Map<string, Float32Array>; v: Map<string, Float32Array> }> {
    return { m: await this.#read(this.#sets.m), v: await this.#read(this.#sets.v) };
  }

  /** Goes on from a saved point with the same bits. */
  restore(step: number, saved: { values: NamedValues; m: NamedValues; v: NamedValues }): void {
    this.#write(this.#sets.values, saved.values);
    this.#write(this.#sets.m, saved.m);
    this.#write(this.#sets.v, saved.v);
    this.#step = step;
  }

  /** Frees everything on the device. */
  [Symbol.dispose](): void {
    for (const passes of this.#passes.values()) passes[Symbol.dispose]();
    this.#passes.clear();
    for (const set of Object.values(this.#sets)) set[Symbol.dispose]();
    for (const tensor of [this.#schedule, this.#clip, this.#draw, this.#partials]) {
      tensor[Symbol.dispose]();
    }
    this.#staging?.[Symbol.dispose]();
    this.#staging = undefined;
  }

  #sizes(): number[] {
    return this.#layout.places.map(({ rows, stride }) => rows * stride);
  }

  #passesFor({ batch, seqlen }: Batch): Passes {
    const key = `${batch} ${seqlen}`;
    const kept = this.#passes.get(key);
    if (kept !== undefined) return kept;
    const activations = createActivations(this.#gpu, this.config, { batch, seqlen });
    const steps = new Map<number, Program>();
    const evaluate = new Program(this.#gpu);
    recordTrainingForward(evaluate, this.config, {
      weights: this.#sets.values.weights,
      activations,
    });
    if (this.config.head.kind === "lm") recordLoss(evaluate, this.config, activations, 1);
    const passes: Passes = {
      activations,
      steps,
      evaluate,
      [Symbol.dispose]: () => {
        for (const owned of [...steps.values(), evaluate, activations]) owned[Symbol.dispose]();
      },
    };
    this.#passes.set(key, passes);
    return passes;
  }

  #stepProgram({ activations, steps }: Passes, targetCount: number): Program {
    let program = steps.get(targetCount);
    if (program === undefined) {
      const { values, gradients } = this.#sets;
      const { dropout } = this.#settings;
      const tensors = {
        weights: values.weights,
        gradients: gradients.weights,
        activations,
        dropout: dropout && { ...dropout, draw: this.#draw },
      };
      program = new Program(this.#gpu);
      recordTrainingForward(program, this.config, tensors);
      recordLoss(program, this.config, activations, targetCount);
      recordBackward(program, this.config, tensors);
      this.#recordUpdate(program);
      steps.set(targetCount, program);
    }
    return program;
  }

  /** Norm and clip factor over all gradients, then AdamW over the two ranges: with decay, and without. */
  #recordUpdate(program: Program): void {
    const { values, gradients, m, v } = this.#sets;
    const { maxNorm, weightDecay, beta1, beta2, eps } = this.#settings;
    const terms: NormTerm[] = this.#layout.places.map(({ spec, start, rows, stride }) => ({
      tensor: gradients.flat.view(start * 4, [rows * stride]),
      size: rows * stride,
      label: spec.name,
    }));
    gradNorm(program, { gradients: terms, partials: this.#partials, clip: this.#clip }, {
      maxNorm,
      label: "norm",
    });
    const { decayEnd, size } = this.#layout;
    for (
      const [start, end, weight_decay] of [[0, decayEnd, weightDecay], [decayEnd, size, 0]] as const
    ) {
      const range = ({ flat }: ParameterSet): Tensor => flat.view(start * 4, [end - start]);
      adamwUpdate(
        program,
        {
          weight: range(values),
          grad: range(gradients),
          m: range(m),
          v: range(v),
          clip: this.#clip,
          schedule: this.#schedule,
        },
        { beta1, beta2, eps, weight_decay, size: end - start, label: "adamw" },
      );
    }
  }

  #feed({ activations }: Passes, { inputs, targets }: Batch): void {
    activations.inputs.write(inputs);
    activations.targets.write(targets);
  }

  /** Runs a program, and reads tensors. */
  async #run(program: Program, tensors: readonly Tensor[]): Promise<Float32Array[]> {
    const total = tensors.reduce((bytes, { size }) => bytes + size * 4, 0);
    if (this.#staging === undefined || this.#staging.buffer.size < total) {
      this.#staging?.[Symbol.dispose]();
      this.#staging = await Staging.create(this.#gpu, total);
    }
    const { buffer } = this.#staging;
    let offset = 0;
    const after = tensors.map((from) => {
      const copy = { from, to: { buffer, offset }, sizeBytes: from.size * 4 };
      offset += copy.sizeBytes;
      return copy;
    });
    this.#gpu.device.queue.submit([encode(this.#gpu, [program], { after })]);
    const bytes = await this.#staging.read(total);
    return after.map(({ to, sizeBytes }) =>
      new Float32Array(bytes.buffer, to.offset, sizeBytes / 4)
    );
  }

  async #read(set: ParameterSet): Promise<Map<string, Float32Array>> {
    using staging = await Staging.create(this.#gpu, this.#layout.size * 4);
    const copy = {
      from: set.flat,
      to: { buffer: staging.buffer, offset: 0 },
      sizeBytes: this.#layout.size * 4,
    };
    this.#gpu.device.queue.submit([encode(this.#gpu, [], { after: [copy] })]);
    const flat = new Float32Array((await staging.read(this.#layout.size * 4)).buffer);
    return new Map(
      this.#layout.places.map((place) => [place.spec.name, unpackParameter(flat, place)]),
    );
  }

  #write(set: ParameterSet, values: NamedValues): void {
    const flat = new Float32Array(this.#layout.size);
    for (const place of this.#layout.places) {
      const found = values.get(place.spec.name);
      if (found === undefined) {
        throw new RangeError(`Cannot start training: there are no values for "${place.spec.name}"`);
      }
      packParameter(flat, place, found);
    }
    set.flat.write(flat);
  }
}

function sum(values: Float32Array | undefined): number {
  return values?.reduce((total, value) => total + value, 0) ?? NaN;
}

/** Cross-entropies and right answers of a classifier's logits (batch, classes). */
function classify(
  logits: Float32Array,
  targets: Uint32Array,
  classes: number,
): { loss: number; correct: number } {
  let loss = 0;
  let correct = 0;
  for (const [row, target] of targets.entries()) {
    if (target === IGNORED) continue;
    const values = logits.subarray(row * classes, (row + 1) * classes);
    const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = values.reduce((partial, value) => partial + Math.exp(value - largest), 0);
    loss += largest + Math.log(total) - (values[target] ?? NaN);
    if (values.indexOf(largest) === target) correct++;
  }
  return { loss, correct };
}
