/** train(): a task's run from the first step to the last, resumable at every evaluation. */

import { openGpu } from "../gpu/device.ts";
import { requireTrainable } from "../webgpu/parameters.ts";
import { learningRateAt, type Schedule } from "./schedule.ts";
import { type Batch, type Position, type Source, START } from "./batches.ts";
import {
  beginRun,
  readModel,
  readResumePoint,
  removeLeftovers,
  type ResumePoint,
  writeModel,
  writeResumePoint,
} from "./checkpoint.ts";
import { eventLoopTurn } from "../io/event_loop_turn.ts";
import { initialise } from "./initialise.ts";
import { MAX_IN_FLIGHT } from "./in_flight.ts";
import type { Task } from "./task.ts";
import type { NamedValues } from "./named_values.ts";
import { type StepResult, Trainer } from "./trainer.ts";

/** About how long the steps take that are handed to the GPU at once: what Ctrl-C and the progress line wait for. */
const BURST_MS = 250;

/** Options of {@linkcode train}. */
export interface TrainOptions {
  /**
   * Folder that gets the checkpoint: the model of the best validation loss, and under `training/` what resuming needs.
   * Another run's in it gives way once the first step is done.
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
  /** Is told how many batches of a split an evaluation has taken, of how many. */
  readonly onEvaluation?: ((done: number, total: number) => void) | undefined;
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
  /** Mean cross-entropy of its batch, in nats, before its update; with label smoothing, that of the smoothed targets. */
  readonly loss: number;
  /** Learning rate that it used. */
  readonly learningRate: number;
  /** Global norm of its gradient, before clipping. */
  readonly gradientNorm: number;
  /** How long it took, in milliseconds: the mean of the few steps that were handed to the GPU together. */
  readonly stepMs: number;
  /** Steps of all its sequences. */
  readonly tokensPerStep: number;
  /** The validation split, after this step, where it was due. */
  readonly validation: SplitResult | undefined;
  /** The test split, by the model of the best validation loss: after the last step of a task that has one. */
  readonly test: SplitResult | undefined;
}

/**
 * Trains a task's model, step by step: stop iterating, and training stops.
 *
 * The same task on the same device gives the same bits, interrupted or not.
 *
 * @throws {RangeError} If a setting asks for what this version cannot do, the model is too large for the device, or the
 * loss is not finite.
 */
export async function* train(task: Task, options: TrainOptions = {}): AsyncGenerator<TrainingStep> {
  const { config, defaults } = task;
  const { out, signal, onEvaluation } = options;
  refuseUnsupported(task);
  // When to stop may differ: it changes no step.
  const { patience, ...settings } = defaults;
  const run = JSON.stringify({ task: task.name, config, defaults: settings, data: task.summary });
  using gpu = await openGpu(options.device);
  requireTrainable(gpu, config);
  using trainer = new Trainer(gpu, config, initialise(config, defaults.seed), {
    beta1: defaults.beta1,
    beta2: defaults.beta2,
    eps: defaults.eps,
    weightDecay: defaults.weightDecay,
    maxNorm: defaults.clipNorm === 0 ? Infinity : defaults.clipNorm,
    labelSmoothing: defaults.labelSmoothing,
    ...(defaults.dropout > 0
      ? { dropout: { probability: defaults.dropout, seed: defaults.seed } }
      : {}),
    ...(defaults.carryState ? { carriedSequences: task.train.batchSize } : {}),
  });
  let position: Position = START;
  let bestLoss = Infinity;
  /** Parameters that gave it. */
  let best: NamedValues | undefined;
  /** Evaluations since then. */
  let sinceBest = 0;
  if (options.resume) {
    if (out === undefined) throw new TypeError("Cannot resume: no folder is given");
    const point = await readResumePoint(out, config);
    if (point.run !== run) {
      throw new TypeError(
        `Cannot resume from "${out}": its run had other data or settings. Give the same ones, or another folder`,
      );
    }
    trainer.restore(point.step, point);
    await removeLeftovers(out);
    position = point.position;
    ({ bestLoss, sinceBest } = point);
    if (task.test !== undefined && Number.isFinite(bestLoss)) best = await readModel(out, config);
  }
  let hasBegun = options.resume === true;
  let savedStep = trainer.step;
  const pointOfNow = async (): Promise<ResumePoint> => ({
    step: trainer.step,
    position,
    bestLoss,
    sinceBest,
    run,
    ...await trainer.save(),
  });
  const save = async (point: ResumePoint): Promise<void> => {
    if (out === undefined) return;
    await writeResumePoint(out, config, point);
    savedStep = point.step;
  };
  // What does not fit is refused before its batches are made.
  trainer.prepare({ batch: defaults.batchSize, seqlen: defaults.seqlen });
  let batches = takeBatches(task.train, position, defaults.accumulation);
  let burstLength = 1;
  const hasEnded = (): boolean =>
    trainer.step >= defaults.steps || (patience > 0 && sinceBest >= patience);
  while (!hasEnded()) {
    const start = performance.now();
    const { evaluateEvery, steps } = defaults;
    const due = Math.min(steps, (Math.floor(trainer.step / evaluateEvery) + 1) * evaluateEvery);
    const end = Math.min(due, trainer.step + burstLength);
    if (end > trainer.step + 1) trainer.keep();
    const burst: Batches[] = [];
    while (trainer.step < end) {
      await trainer.submit(batches, learningRateAt(defaults, trainer.step));
      burst.push(batches);
      // The next batches are made while the GPU works.
      batches = takeBatches(task.train, nextOf(batches), defaults.accumulation);
    }
    await eventLoopTurn();
    const results = await trainer.results();
    const stepMs = (performance.now() - start) / burst.length;
    const most = Math.min(MAX_IN_FLIGHT / defaults.accumulation, BURST_MS / stepMs);
    burstLength = Math.max(1, Math.floor(most));
    for (const [index, own] of burst.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error("Cannot train: a step has no result");
      const { step, loss, norm } = result;
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
        throw new RangeError(describeFailure(step, describeResult(result), out, savedStep));
      }
      if (out !== undefined && !hasBegun) await beginRun(out, config, task.tokenizer);
      hasBegun = true;
      position = nextOf(own);
      let validation: SplitResult | undefined;
      let test: SplitResult | undefined;
      let point: ResumePoint | undefined;
      if (step === due) {
        validation = await evaluateSplit(trainer, task.validation, onEvaluation);
        if (!Number.isFinite(validation.loss)) {
          const found = `validation loss is ${validation.loss}`;
          throw new RangeError(describeFailure(step, found, out, savedStep));
        }
        sinceBest++;
        if (validation.loss < bestLoss) {
          bestLoss = validation.loss;
          best = await trainer.values();
          sinceBest = 0;
          // The model before the point: a run killed in between repeats these steps, and writes the same model again.
          if (out !== undefined) await writeModel(out, config, best);
        }
        point = await pointOfNow();
        if (hasEnded() && task.test !== undefined && best !== undefined) {
          trainer.load(best);
          test = await evaluateSplit(trainer, task.test, onEvaluation);
        }
      }
      try {
        yield {
          step,
          loss,
          learningRate: learningRateAt(defaults, step - 1),
          gradientNorm: norm,
          stepMs,
          tokensPerStep: own.reduce((sum, { batch, seqlen }) => sum + batch * seqlen, 0),
          validation,
          test,
        };
      } finally {
        // Only now: a run killed before it measures again what nobody may have noted.
        if (point !== undefined) await save(point);
      }
      if (signal?.aborted) {
        if (index + 1 < burst.length) await takeBack(trainer, burst.slice(0, index + 1), defaults);
        if (point === undefined) await save(await pointOfNow());
        return;
      }
    }
  }
}

/** The batches of one step: their gradients are added up. */
type Batches = readonly [Batch, ...Batch[]];

function takeBatches(source: Source, position: Position, count: number): Batches {
  const batches: [Batch, ...Batch[]] = [source.batch(position)];
  while (batches.length < count) batches.push(source.batch(nextOf(batches)));
  return batches;
}

/** Where the batch after these begins. */
function nextOf(batches: Batches): Position {
  return (batches.at(-1) ?? batches[0]).next;
}

/** Undoes the steps of a burst after its first ones: goes back to its start, and repeats those. */
async function takeBack(
  trainer: Trainer,
  steps: readonly Batches[],
  schedule: Schedule,
): Promise<void> {
  trainer.rewind();
  for (const batches of steps) {
    await trainer.submit(batches, learningRateAt(schedule, trainer.step));
  }
  await trainer.results();
}

/** Evaluates the parameters on a whole split. */
async function evaluateSplit(
  trainer: Trainer,
  source: Source,
  onEvaluation: TrainOptions["onEvaluation"],
): Promise<SplitResult> {
  const { loss, count, correct } = await trainer.evaluate(wholeSplit(source, onEvaluation));
  return { loss: loss / count, accuracy: correct === undefined ? undefined : correct / count };
}

function* wholeSplit(
  source: Source,
  onEvaluation: TrainOptions["onEvaluation"] = () => {},
): Generator<Batch> {
  let done = 0;
  for (let position = START; position.epoch === 0;) {
    const batch = source.batch(position);
    yield batch;
    position = batch.next;
    onEvaluation(++done, Math.ceil(source.batchesPerEpoch));
  }
}

/** What is not finite, and where it was first seen. */
function describeResult({ loss, norm, culprit }: StepResult): string {
  const found = Number.isFinite(loss) ? `the gradient's norm is ${norm}` : `loss is ${loss}`;
  return culprit === undefined ? found : `${found}, and the gradient of "${culprit}" is not finite`;
}

/** The same, with what there is to go back to. */
function describeFailure(
  step: number,
  found: string,
  out: string | undefined,
  savedStep: number,
): string {
  const last = out === undefined || savedStep === 0
    ? "Nothing was saved"
    : `Last good checkpoint: "${out}", of step ${savedStep}`;
  return `Cannot continue at step ${step}: ${found}. ${last}`;
}

/** A state is carried from window to window of a text: other sequences end. */
function refuseUnsupported({ name, config, defaults }: Task): void {
  if (!defaults.carryState || config.head.kind === "lm") return;
  throw new RangeError(`Cannot train ${name} with carryState: its model is a classifier`);
}
