/** train(): a task's run from the first step to the last, resumable at every evaluation. */

import { openGpu } from "../gpu/device.ts";
import { learningRateAt } from "./schedule.ts";
import { type Position, type Source, START } from "./batches.ts";
import {
  readResumePoint,
  type ResumePoint,
  writeDescription,
  writeModel,
  writeResumePoint,
} from "./checkpoint.ts";
import { initialise } from "./initialise.ts";
import type { Task } from "./task.ts";
import { Trainer } from "./trainer.ts";

/** Options of {@linkcode train}. */
export interface TrainOptions {
  /**
   * Folder that gets the checkpoint: the model of the best validation loss, and under `training/` what resuming needs.
   *
   * @default {undefined} Nothing is written.
   */
  readonly out?: string | undefined;
  /**
   * Goes on from the point that `out` holds, with the same bits as a run that was never interrupted.
   *
   * @default {false}
   */
  readonly resume?: boolean | undefined;
  /** Ends the run after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** A device of yours to train on; it is not destroyed. */
  readonly device?: GPUDevice | undefined;
}

/** What a whole split gave. */
export interface SplitResult {
  /** Mean cross-entropy over all targets, in nats. */
  readonly loss: number;
  /** Share of sequences that a classifier named rightly; undefined for a language model. */
  readonly accuracy: number | undefined;
}

/** One step of a run. */
export interface TrainingStep {
  /** Steps done, this one included. */
  readonly step: number;
  /** Mean cross-entropy of its batch, in nats, before its update. */
  readonly loss: number;
  /** Learning rate that it used. */
  readonly learningRate: number;
  /** Global norm of its gradient, before clipping. */
  readonly gradientNorm: number;
  /** How long it took, in milliseconds. */
  readonly stepMs: number;
  /** Steps of all its sequences. */
  readonly tokensPerStep: number;
  /** The validation split, after this step, where it was due. */
  readonly validation: SplitResult | undefined;
}

/**
 * Trains a task's model, step by step: stop iterating, and training stops.
 *
 * The same task on the same device gives the same bits, interrupted or not.
 *
 * @throws {RangeError} If a setting asks for what this version cannot do, or the loss is not finite.
 */
export async function* train(task: Task, options: TrainOptions = {}): AsyncGenerator<TrainingStep> {
  const { config, defaults } = task;
  const { out, signal } = options;
  refuseUnsupported(task);
  const run = JSON.stringify({ task: task.name, config, defaults, data: task.summary });
  using gpu = await openGpu(options.device);
  using trainer = new Trainer(gpu, config, initialise(config, defaults.seed), {
    beta1: defaults.beta1,
    beta2: defaults.beta2,
    eps: defaults.eps,
    weightDecay: defaults.weightDecay,
    maxNorm: defaults.clipNorm === 0 ? Infinity : defaults.clipNorm,
    ...(defaults.dropout > 0
      ? { dropout: { probability: defaults.dropout, seed: defaults.seed } }
      : {}),
  });
  let position: Position = START;
  let bestLoss = Infinity;
  if (options.resume) {
    if (out === undefined) throw new TypeError("Cannot resume: no folder is given");
    const point = await readResumePoint(out, config);
    if (point.run !== run) {
      throw new TypeError(
        `Cannot resume from "${out}": its run had other data or settings. Give the same ones, or another folder`,
      );
    }
    trainer.restore(point.step, point);
    position = point.position;
    bestLoss = point.bestLoss;
  } else if (out !== undefined) {
    await writeDescription(out, config, task.tokenizer);
  }
  const save = async (): Promise<void> => {
    if (out === undefined) return;
    const point: ResumePoint = {
      step: trainer.step,
      position,
      bestLoss,
      run,
      values: await trainer.values(),
      ...await trainer.moments(),
    };
    await writeResumePoint(out, config, point);
  };
  while (trainer.step < defaults.steps) {
    const start = performance.now();
    const learningRate = learningRateAt(defaults, trainer.step);
    const batch = task.train.batch(position);
    const { loss, norm } = await trainer.train(batch, learningRate);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      throw new RangeError(await describeFailure(trainer, loss, norm, out));
    }
    position = batch.next;
    const stepMs = performance.now() - start;
    const isDue = trainer.step % defaults.evaluateEvery === 0 || trainer.step === defaults.steps;
    let validation: SplitResult | undefined;
    if (isDue) {
      validation = await evaluateSplit(trainer, task.validation);
      if (validation.loss < bestLoss) {
        bestLoss = validation.loss;
        // The model before the point: a run killed in between repeats these steps, and writes the same model again.
        if (out !== undefined) await writeModel(out, config, await trainer.values());
      }
      await save();
    }
    yield {
      step: trainer.step,
      loss,
      learningRate,
      gradientNorm: norm,
      stepMs,
      tokensPerStep: batch.batch * batch.seqlen,
      validation,
    };
    if (signal?.aborted) {
      if (!isDue) await save();
      return;
    }
  }
}

/** Evaluates the parameters on a whole split. */
export async function evaluateSplit(trainer: Trainer, source: Source): Promise<SplitResult> {
  let loss = 0;
  let count = 0;
  let correct = 0;
  let isClassifier = false;
  for (let position = START; position.epoch === 0;) {
    const batch = source.batch(position);
    const part = await trainer.evaluate(batch);
    loss += part.loss;
    count += part.count;
    correct += part.correct ?? 0;
    isClassifier = part.correct !== undefined;
    position = batch.next;
  }
  return { loss: loss / count, accuracy: isClassifier ? correct / count : undefined };
}

/** What is not finite, where it was first seen, and what there is to go back to. */
async function describeFailure(
  trainer: Trainer,
  loss: number,
  norm: number,
  out: string | undefined,
): Promise<string> {
  let culprit = "";
  for (const [name, values] of await trainer.gradients()) {
    if (values.every(Number.isFinite)) continue;
    culprit = `, and so is the gradient of "${name}"`;
    break;
  }
  const found = Number.isFinite(loss) ? `the gradient's norm is ${norm}` : `loss is ${loss}`;
  const last = out === undefined ? "Nothing was saved" : `Last good checkpoint: ${out}`;
  return `Cannot continue at step ${trainer.step + 1}: ${found}${culprit}. ${last}`;
}

function refuseUnsupported({ defaults, name }: Task): void {
  const { accumulation, carryState } = defaults;
  const found = accumulation !== 1
    ? `accumulation ${accumulation}`
    : carryState
    ? "carryState"
    : undefined;
  if (found !== undefined) {
    throw new RangeError(`Cannot train ${name} with ${found}: this version does not have it yet`);
  }
}
