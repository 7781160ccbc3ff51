/** The trainer: parameters, gradients and moments on the GPU, and one step of training after the other. */

import type { Gpu } from "../gpu/device.ts";
import { readFloats } from "../gpu/readback.ts";
import { type Copy, encode, type Program } from "../gpu/program.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { BatchShape } from "../webgpu/training_activations.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { createState, type KeptTensor, keptTensors, type State } from "../webgpu/state.ts";
import type { Batch } from "./batches.ts";
import { eventLoopTurn } from "../io/event_loop_turn.ts";
import { classify, type Evaluation, sum } from "./evaluation.ts";
import { InFlight, MAX_IN_FLIGHT } from "./in_flight.ts";
import { type NamedValues, readValues, writeValues } from "./named_values.ts";
import { Optimiser, type OptimiserSettings } from "./optimiser.ts";
import { clearState, Passes } from "./passes.ts";

/** How a model is trained. */
export interface TrainerSettings extends OptimiserSettings {
  /**
   * Share of the embedding and of each block's output that is dropped in training, by a generator with this seed.
   *
   * @default {none}
   */
  readonly dropout?: { readonly probability: number; readonly seed: number } | undefined;
  /**
   * Share of each target that is spread over all classes in training: label smoothing. A step's loss has it, too.
   *
   * @default {0}
   */
  readonly labelSmoothing?: number | undefined;
  /**
   * Sequences of each batch that go on where those of the batch before ended, wherever a batch `continues`: their states
   * are carried over, in evaluation too.
   *
   * @default {none} All sequences begin with a state of zeros.
   */
  readonly carriedSequences?: number | undefined;
}

/** What a step gives. */
export interface StepResult {
  /** Its number, from 1. */
  readonly step: number;
  /** Mean cross-entropy over the targets of its batches, in nats, before the update. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly norm: number;
  /** The first parameter whose gradient's norm is not finite, where there is one. */
  readonly culprit: string | undefined;
}

/** What resuming needs. */
export interface Saved {
  /** Parameters, by official name. */
  readonly values: NamedValues;
  /** AdamW's averages of the gradient ... */
  readonly m: NamedValues;
  /** ... and of its square. */
  readonly v: NamedValues;
  /** The states that are carried on, by layer, where they are. */
  readonly carried?: NamedValues;
}

/** A step whose result was not read yet. */
interface Submitted {
  readonly step: number;
  readonly batches: number;
  readonly targetCount: number;
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
  readonly #settings: TrainerSettings;
  readonly #optimiser: Optimiser;
  readonly #draw: Tensor;
  readonly #carried: State | undefined;
  readonly #passes: Map<string, Passes> = new Map();
  readonly #inFlight: InFlight;
  #submitted: Submitted[] = [];
  /** Values, moments and states as keep() saw them. */
  #kept: { readonly tensors: readonly Tensor[]; step: number } | undefined;
  #step = 0;

  /** Starts from given values, with moments of zero. */
  constructor(gpu: Gpu, config: ModelConfig, values: NamedValues, settings: TrainerSettings) {
    this.#gpu = gpu;
    this.config = config;
    this.#settings = settings;
    this.#optimiser = new Optimiser(gpu, config, settings);
    this.#draw = createTensor(gpu, "dropout_draw", [1]);
    const { carriedSequences } = settings;
    if (carriedSequences !== undefined) this.#carried = createState(gpu, config, carriedSequences);
    this.#inFlight = new InFlight(gpu);
    this.load(values);
  }

  /** Steps made so far, those in flight included. */
  get step(): number {
    return this.#step;
  }

  /**
   * Makes what a step on batches of this shape needs.
   *
   * @throws {RangeError} If it is more than the device has.
   */
  prepare(shape: BatchShape): void {
    this.#passesFor(shape);
  }

  /** One step on one batch, and its result: {@linkcode Trainer.submit} and {@linkcode Trainer.results} in one. */
  async train(batch: Batch, learningRate: number): Promise<StepResult> {
    await this.submit([batch], learningRate);
    const result = (await this.results()).at(-1);
    if (result === undefined) throw new Error("Cannot train: the step has no result");
    return result;
  }

  /**
   * Hands one step to the GPU, without waiting for it: forward and backward of each batch, clip, update.
   *
   * The gradient is that of the mean over all targets of all batches. A norm that is not finite leaves the parameters as
   * they were.
   */
  async submit(batches: readonly Batch[], learningRate: number): Promise<void> {
    const { clip, partials } = this.#optimiser;
    const targetCount = batches.reduce((total, batch) => total + batch.targetCount, 0);
    this.#optimiser.schedule(this.#step + 1, learningRate);
    for (const [index, batch] of batches.entries()) {
      const part = { isFirst: index === 0, isLast: index === batches.length - 1 };
      const passes = this.#passesFor(batch);
      const after = await this.#inFlight.add(
        part.isLast ? [passes.losses, clip, partials] : [passes.losses],
      );
      this.#draw.write(new Uint32Array([this.#step * batches.length + index]));
      passes.feed(batch);
      if (this.#carried && !batch.continues) clearState(this.#carried);
      this.#run([passes.step(targetCount, part)], after);
    }
    this.#step++;
    this.#submitted.push({ step: this.#step, batches: batches.length, targetCount });
  }

  /**
   * Waits for the steps in flight, and gives their results, oldest first.
   *
   * Where a norm is not finite, {@linkcode Trainer.step} is set back to the step before. Steps that were in flight after
   * it went on from the parameters that it left: what this trainer holds then is of no further use.
   */
  async results(): Promise<StepResult[]> {
    const values = await this.#inFlight.take();
    const results = this.#submitted.splice(0).map(({ step, batches, targetCount }): StepResult => {
      const parts = values.splice(0, batches);
      const [, [, norm = NaN] = [], partials = new Float32Array()] = parts.at(-1) ?? [];
      return {
        step,
        loss: parts.reduce((total, [losses]) => total + sum(losses), 0) / targetCount,
        norm,
        culprit: Number.isFinite(norm) ? undefined : this.#optimiser.firstNotFinite(partials),
      };
    });
    const failed = results.find(({ norm }) => !Number.isFinite(norm));
    if (failed !== undefined) this.#step = failed.step - 1;
    return results;
  }

  /** Remembers the parameters, moments and states of now, for {@linkcode Trainer.rewind}. */
  keep(): void {
    this.#kept ??= {
      tensors: this.#moving().map(({ size }) => createTensor(this.#gpu, "kept", [size])),
      step: this.#step,
    };
    this.#kept.step = this.#step;
    this.#run([], copies(this.#moving(), this.#kept.tensors));
  }

  /** Goes back to where keep() was called last: the same steps from there give the same bits again. */
  rewind(): void {
    if (this.#kept === undefined) throw new Error("Cannot rewind: nothing was kept");
    this.#step = this.#kept.step;
    this.#run([], copies(this.#kept.tensors, this.#moving()));
  }

  /** What the parameters, as they are, make of batches; for when no step is in flight. */
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
      const after = await this.#inFlight.add([passes.evaluated]);
      passes.feed(batch);
      this.#run([passes.evaluation(batch)], after);
      submitted.push(batch);
      if (submitted.length < MAX_IN_FLIGHT) continue;
      await collect();
      await eventLoopTurn();
    }
    await collect();
    return { ...total, correct: isLanguageModel ? undefined : total.correct };
  }

  /** The program of a whole step over batches of this shape: what benchmarks time. */
  stepProgramOf(batch: Batch): Program {
    return this.#passesFor(batch).step(batch.targetCount, { isFirst: true, isLast: true });
  }

  /** The gradients of the latest step, by official name. */
  gradients(): Promise<Map<string, Float32Array>> {
    return readValues(this.#gpu, this.#optimiser.layout, this.#optimiser.gradients);
  }

  /** The parameters, by official name. */
  values(): Promise<Map<string, Float32Array>> {
    return readValues(this.#gpu, this.#optimiser.layout, this.#optimiser.values);
  }

  /** Sets the parameters, by official name, and nothing else. */
  load(values: NamedValues): void {
    writeValues(this.#optimiser.layout, this.#optimiser.values, values);
  }

  /** AdamW's averages, by official name. */
  async moments(): Promise<{ m: Map<string, Float32Array>; v: Map<string, Float32Array> }> {
    const { layout, m, v } = this.#optimiser;
    return { m: await readValues(this.#gpu, layout, m), v: await readValues(this.#gpu, layout, v) };
  }

  /** What another trainer of this model goes on from with the same bits, by {@linkcode Trainer.restore}. */
  async save(): Promise<Saved> {
    const carried = new Map<string, Float32Array>();
    for (const { name, tensor } of this.#carriedParts()) {
      carried.set(name, await readFloats(this.#gpu, tensor));
    }
    return { values: await this.values(), ...await this.moments(), carried };
  }

  /**
   * Goes on from a saved point with the same bits.
   *
   * @throws {RangeError} If the point is one of another model, or of other sequences.
   */
  restore(step: number, saved: Saved): void {
    const { layout, m, v } = this.#optimiser;
    this.load(saved.values);
    writeValues(layout, m, saved.m);
    writeValues(layout, v, saved.v);
    for (const { name, tensor } of this.#carriedParts()) {
      const state = saved.carried?.get(name);
      if (state?.length !== tensor.size) {
        throw new RangeError(
          `Cannot resume: the state "${name}" has ${
            state?.length ?? "no"
          } values, expected ${tensor.size}`,
        );
      }
      tensor.write(state);
    }
    this.#step = step;
  }

  /** Frees everything on the device. */
  [Symbol.dispose](): void {
    for (const passes of this.#passes.values()) passes[Symbol.dispose]();
    this.#passes.clear();
    const kept = this.#kept?.tensors ?? [];
    for (const owned of [this.#optimiser, this.#draw, this.#inFlight, this.#carried, ...kept]) {
      owned?.[Symbol.dispose]();
    }
    this.#kept = undefined;
  }

  #carriedParts(): KeptTensor[] {
    if (this.#carried === undefined) return [];
    return keptTensors(this.#carried).filter(({ name }) => name.startsWith("layers."));
  }

  #passesFor({ batch, seqlen }: BatchShape): Passes {
    const key = `${batch} ${seqlen}`;
    let passes = this.#passes.get(key);
    if (passes === undefined) {
      const { dropout, labelSmoothing = 0 } = this.#settings;
      passes = new Passes(this.#gpu, this.config, { batch, seqlen }, {
        optimiser: this.#optimiser,
        dropout: dropout && { ...dropout, draw: this.#draw },
        smoothing: labelSmoothing,
        carried: this.#carried,
      });
      this.#passes.set(key, passes);
    }
    return passes;
  }

  /** Submits programs, then copies. */
  #run(programs: readonly Program[], after: readonly Copy[]): void {
    this.#gpu.device.queue.submit([encode(this.#gpu, programs, { after })]);
  }

  /** All that a step changes and the next one builds on. */
  #moving(): Tensor[] {
    const { values, m, v } = this.#optimiser;
    const tensors = [values, m, v].map(({ flat }) => flat);
    return this.#carried === undefined ? tensors : [...tensors, this.#carried.buffer];
  }
}

function copies(sources: readonly Tensor[], targets: readonly Tensor[]): Copy[] {
  return sources.flatMap((from, index) => {
    const to = targets[index];
    return to === undefined ? [] : [{ from, to, sizeBytes: from.size * 4 }];
  });
}
