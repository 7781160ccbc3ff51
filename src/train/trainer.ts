/** The trainer: parameters, gradients and moments on the GPU, and one step of training after the other. */

import type { Gpu } from "../gpu/device.ts";
import { Staging } from "../gpu/readback.ts";
import { type Copy, encode, Program } from "../gpu/recorder.ts";
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
import { CLIP_SIZE, gradNorm, gradNormStarts, NORM_PART, type NormTerm } from "../ops/grad_norm.ts";
import type { Batch } from "./batches.ts";
import { classify, type Evaluation, sum } from "./evaluation.ts";
import { InFlight, MAX_IN_FLIGHT } from "./in_flight.ts";

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
  /** Its number, from 1. */
  readonly step: number;
  /** Mean cross-entropy over the batch's targets, in nats, before the update. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly norm: number;
  /** The first parameter whose gradient's norm is not finite, where there is one. */
  readonly culprit: string | undefined;
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
  readonly #inFlight: InFlight;
  /** Steps submitted whose results were not read yet, with the number of targets of each. */
  #submitted: { readonly step: number; readonly targetCount: number }[] = [];
  /** Values and moments as keep() saw them. */
  #kept: { readonly tensor: Tensor; step: number } | undefined;
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
      gradNormStarts([this.#layout.size]).at(-1) ?? 1,
    ]);
    this.#inFlight = new InFlight(gpu);
    this.#write(this.#sets.values, values);
  }

  /** Steps made so far, those in flight included. */
  get step(): number {
    return this.#step;
  }

  /** One step, and its result: {@linkcode Trainer.submit} and {@linkcode Trainer.results} in one. */
  async train(batch: Batch, learningRate: number): Promise<StepResult> {
    await this.submit(batch, learningRate);
    const result = (await this.results()).at(-1);
    if (result === undefined) throw new Error("Cannot train: the step has no result");
    return result;
  }

  /**
   * Hands one step to the GPU, without waiting for it: forward, backward, clip, update.
   *
   * A norm that is not finite leaves the parameters as they were.
   */
  async submit(batch: Batch, learningRate: number): Promise<void> {
    const passes = this.#passesFor(batch);
    const program = this.#stepProgram(passes, batch.targetCount);
    const after = await this.#inFlight.add([
      passes.activations.losses,
      this.#clip,
      this.#partials,
    ]);
    const { beta1, beta2 } = this.#settings;
    this.#schedule.write(encodeAdamwSchedule(this.#step + 1, learningRate, { beta1, beta2 }));
    this.#draw.write(new Uint32Array([this.#step]));
    this.#run(passes, batch, { program, after });
    this.#step++;
    this.#submitted.push({ step: this.#step, targetCount: batch.targetCount });
  }

  /**
   * Waits for the steps in flight, and gives their results, oldest first.
   *
   * Where a norm is not finite, {@linkcode Trainer.step} is set back to the step before. Steps that were in flight after
   * it went on from the parameters that it left: what this trainer holds then is of no further use.
   */
  async results(): Promise<StepResult[]> {
    const values = await this.#inFlight.take();
    const results = this.#submitted.splice(0).map(({ step, targetCount }, index): StepResult => {
      const [losses, [, norm = NaN] = [], partials] = values[index] ?? [];
      const culprit = Number.isFinite(norm) ? undefined : this.#culprit(partials);
      return { step, loss: sum(losses) / targetCount, norm, culprit };
    });
    const failed = results.find(({ norm }) => !Number.isFinite(norm));
    if (failed !== undefined) this.#step = failed.step - 1;
    return results;
  }

  /** Remembers the parameters and moments of now, for {@linkcode Trainer.rewind}. */
  keep(): void {
    const { size } = this.#layout;
    this.#kept ??= { tensor: createTensor(this.#gpu, "kept", [3 * size]), step: this.#step };
    this.#kept.step = this.#step;
    this.#copy(this.#keptCopies(this.#kept.tensor));
  }

  /** Goes back to where keep() was called last: the same steps from there give the same bits again. */
  rewind(): void {
    if (this.#kept === undefined) throw new Error("Cannot rewind: nothing was kept");
    this.#step = this.#kept.step;
    this.#copy(
      this.#keptCopies(this.#kept.tensor).map((copy) => ({
        ...copy,
        from: copy.to,
        to: copy.from,
      })),
    );
  }

  /** What the parameters, as they are, make of batches. */
  async evaluate(batches: Iterable<Batch>): Promise<Evaluation> {
    const total = { loss: 0, count: 0, correct: 0 };
    const isLanguageModel = this.config.head.kind === "lm";
    const submitted: Batch[] = [];
    const collect = async (): Promise<void> => {
      const values = await this.#inFlight.take();
      for (const [index, { targets, targetCount }] of submitted.splice(0).entries()) {
        const [found = new Float32Array()] = values[index] ?? [];
        const { loss, correct } = isLanguageModel
          ? { loss: sum(found), correct: 0 }
          : classify(found, targets, this.config);
        total.loss += loss;
        total.correct += correct;
        total.count += targetCount;
      }
    };
    for (const batch of batches) {
      const passes = this.#passesFor(batch);
      const { losses, logits } = passes.activations;
      const after = await this.#inFlight.add([isLanguageModel ? losses : logits]);
      this.#run(passes, batch, { program: passes.evaluate, after });
      submitted.push(batch);
      if (submitted.length === MAX_IN_FLIGHT) await collect();
    }
    await collect();
    return { ...total, correct: isLanguageModel ? undefined : total.correct };
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
    this.#inFlight[Symbol.dispose]();
    this.#kept?.tensor[Symbol.dispose]();
    this.#kept = undefined;
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
    const { decayEnd, size } = this.#layout;
    // What lies between the tensors is 0, so that all of them are one.
    const term: NormTerm = { tensor: gradients.flat, size, label: "gradients" };
    gradNorm(program, { gradients: [term], partials: this.#partials, clip: this.#clip }, {
      maxNorm,
      label: "norm",
    });
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

  /** Submits a program over a batch, then copies. */
  #run(
    { activations }: Passes,
    { inputs, targets }: Batch,
    { program, after }: { readonly program: Program; readonly after: readonly Copy[] },
  ): void {
    activations.inputs.write(inputs);
    activations.targets.write(targets);
    this.#gpu.device.queue.submit([encode(this.#gpu, [program], { after })]);
  }

  #copy(after: readonly Copy[]): void {
    this.#gpu.device.queue.submit([encode(this.#gpu, [], { after })]);
  }

  #keptCopies({ buffer }: Tensor): Copy[] {
    const { values, m, v } = this.#sets;
    const sizeBytes = this.#layout.size * 4;
    return [values, m, v].map(({ flat }, index) => ({
      from: flat,
      to: { buffer, offset: index * sizeBytes },
      sizeBytes,
    }));
  }

  /** The first parameter whose squares' partial sums are not finite. */
  #culprit(partials: Float32Array | undefined): string | undefined {
    return this.#layout.places.find(({ start, rows, stride }) => {
      const [first, end] = [start / NORM_PART, Math.ceil((start + rows * stride) / NORM_PART)];
      return !partials?.subarray(first, end).every(Number.isFinite);
    })?.spec.name;
  }

  async #read(set: ParameterSet): Promise<Map<string, Float32Array>> {
    using staging = await Staging.create(this.#gpu, this.#layout.size * 4);
    const copy = {
      from: set.flat,
      to: { buffer: staging.buffer, offset: 0 },
      sizeBytes: this.#layout.size * 4,
    };
    this.#copy([copy]);
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
