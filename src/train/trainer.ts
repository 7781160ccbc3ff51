/** The trainer: one step of training after the other, on whichever executor. */

import { eventLoopTurn } from "../io/event_loop_turn.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type {
  BatchShape,
  NamedValues,
  TrainingBatch,
  TrainingExecutor,
} from "../model/training_executor.ts";
import { classify, type Evaluation, sum } from "./evaluation.ts";

/** About how long what is handed to the device at once takes: what Ctrl-C and the progress line wait for. */
export const BURST_MS = 250;

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
  readonly targetCount: number;
}

/** Trains a model's parameters, which are zeros until {@linkcode Trainer.load}. It owns the executor. */
export class Trainer implements Disposable {
  readonly #executor: TrainingExecutor;
  #submitted: Submitted[] = [];
  /** The step that keep() saw. */
  #kept: number | undefined;
  #step = 0;

  /** Starts from the executor's parameters and moments. */
  constructor(executor: TrainingExecutor) {
    this.#executor = executor;
  }

  /** The model. */
  get config(): ModelConfig {
    return this.#executor.config;
  }

  /** Steps made so far, those in flight included. */
  get step(): number {
    return this.#step;
  }

  /** Batches that may be submitted before results are read. */
  get maxInFlight(): number {
    return this.#executor.maxInFlight;
  }

  /**
   * Makes what a step on batches of this shape needs.
   *
   * @throws {RangeError} If it is more than the device has.
   */
  prepare(shape: BatchShape): void {
    this.#executor.prepare(shape);
  }

  /** One step on one batch, and its result: {@linkcode Trainer.submit} and {@linkcode Trainer.results} in one. */
  async train(batch: TrainingBatch, learningRate: number): Promise<StepResult> {
    await this.submit([batch], learningRate);
    const result = (await this.results()).at(-1);
    if (result === undefined) throw new Error("Cannot train: the step has no result");
    return result;
  }

  /** Makes one step, or hands it to the device: see {@linkcode TrainingExecutor.submit}. */
  async submit(batches: readonly TrainingBatch[], learningRate: number): Promise<void> {
    const targetCount = batches.reduce((total, batch) => total + batch.targetCount, 0);
    await this.#executor.submit(batches, { number: this.#step + 1, learningRate });
    this.#step++;
    this.#submitted.push({ step: this.#step, targetCount });
  }

  /**
   * Waits for the steps in flight, and gives their results, oldest first.
   *
   * Where a norm is not finite, {@linkcode Trainer.step} is set back to the step before. Steps that were in flight after
   * it went on from the parameters that it left: what this trainer holds then is of no further use.
   */
  async results(): Promise<StepResult[]> {
    const numbers = await this.#executor.results();
    const results = this.#submitted.splice(0).map(({ step, targetCount }, index): StepResult => {
      const { losses = [], norm = NaN, culprit } = numbers[index] ?? {};
      const loss = losses.reduce((total, own) => total + sum(own), 0) / targetCount;
      return { step, loss, norm, culprit };
    });
    const failed = results.find(({ norm }) => !Number.isFinite(norm));
    if (failed !== undefined) this.#step = failed.step - 1;
    return results;
  }

  /** Remembers the parameters, moments and states of now, for {@linkcode Trainer.rewind}. */
  keep(): void {
    this.#executor.keep();
    this.#kept = this.#step;
  }

  /** Goes back to where keep() was called last: the same steps from there give the same bits again. */
  rewind(): void {
    if (this.#kept === undefined) throw new Error("Cannot rewind: nothing was kept");
    this.#executor.rewind();
    this.#step = this.#kept;
  }

  /** What the parameters, as they are, make of batches; for when no step is in flight. */
  async evaluate(batches: Iterable<TrainingBatch>): Promise<Evaluation> {
    const total = { loss: 0, count: 0, correct: 0 };
    const isLanguageModel = this.config.head.kind === "lm";
    const submitted: TrainingBatch[] = [];
    const collect = async (): Promise<void> => {
      const values = await this.#executor.evaluations();
      for (const [index, { targets, targetCount }] of submitted.splice(0).entries()) {
        const found = values[index] ?? new Float32Array();
        const { loss, correct } = isLanguageModel
          ? { loss: sum(found), correct: 0 }
          : classify(found, targets, this.config);
        total.loss += loss;
        total.correct += correct;
        total.count += targetCount;
      }
    };
    let burstLength = 1;
    let start = performance.now();
    for (const batch of batches) {
      await this.#executor.evaluate(batch);
      submitted.push(batch);
      if (submitted.length < burstLength) continue;
      await collect();
      const batchMs = (performance.now() - start) / burstLength;
      burstLength = Math.max(1, Math.min(this.maxInFlight, Math.floor(BURST_MS / batchMs)));
      await eventLoopTurn();
      start = performance.now();
    }
    await collect();
    return { ...total, correct: isLanguageModel ? undefined : total.correct };
  }

  /** The gradients of the latest step, by official name. */
  gradients(): Promise<Map<string, Float32Array>> {
    return this.#executor.read("gradients");
  }

  /** The parameters, by official name. */
  values(): Promise<Map<string, Float32Array>> {
    return this.#executor.read("values");
  }

  /** Sets the parameters, by official name, and nothing else. */
  load(values: NamedValues): void {
    this.#executor.write("values", values);
  }

  /** AdamW's averages, by official name. */
  async moments(): Promise<{ m: Map<string, Float32Array>; v: Map<string, Float32Array> }> {
    return { m: await this.#executor.read("m"), v: await this.#executor.read("v") };
  }

  /** What another trainer of this model goes on from with the same bits, by {@linkcode Trainer.restore}. */
  async save(): Promise<Saved> {
    const carried = await this.#executor.readCarried();
    return { values: await this.values(), ...await this.moments(), carried };
  }

  /**
   * Goes on from a saved point, with the same bits where the executor and its device are the same.
   *
   * @throws {RangeError} If the point is one of another model, or of other sequences.
   */
  restore(step: number, { values, m, v, carried = new Map() }: Saved): void {
    this.load(values);
    this.#executor.write("m", m);
    this.#executor.write("v", v);
    this.#executor.writeCarried(carried);
    this.#step = step;
  }

  /** Frees everything on the device. */
  [Symbol.dispose](): void {
    this.#executor[Symbol.dispose]();
  }
}
