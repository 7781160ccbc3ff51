/** train(): a task's run from the first step to the last, resumable at every evaluation. */

import { eventLoopTurn } from "../io/event_loop_turn.ts";
import type { Backend } from "../model/executor.ts";
import type {
  NamedValues,
  TrainingExecutor,
  TrainingSettings,
} from "../model/training_executor.ts";
import { type Batch, type Position, type Source, START } from "./batches.ts";
import { encodeCheckpoint, type ResumePoint } from "./run/checkpoint.ts";
import { initialise } from "./initialise.ts";
import { type ExecutorOptions, openExecutor } from "./open_executor.ts";
import { openRunFolder, type RunFolder } from "./run/run_folder.ts";
import { learningRateAt, type Schedule } from "./schedule.ts";
import { SettingError } from "./setting_error.ts";
import type { Hyperparameters, Task } from "./task.ts";
import { BURST_MS, type StepResult, Trainer } from "./trainer.ts";
import type { SplitResult, TrainingStep } from "./training_step.ts";

/** Options of {@linkcode train}. */
export interface TrainOptions extends ExecutorOptions {
  /**
   * Folder of the run: it gets the model of the best validation loss, and under `training/` metrics, their curve and what
   * resuming needs. It is locked while the run lasts. One that is neither empty nor a run's is refused.
   *
   * @default {undefined} Nothing is written.
   */
  readonly out?: string | undefined;
  /**
   * Goes on with the run that `out` holds, with the same bits as a run that was never interrupted. With another number of
   * steps the run is extended, or shortened: from there on, the learning rate is that of the new schedule.
   *
   * @default {false}
   */
  readonly resume?: boolean | undefined;
  /**
   * Takes the place of the run that `out` holds, which is gone once the first step is done.
   *
   * @default {false} Such a folder is refused.
   */
  readonly overwrite?: boolean | undefined;
  /**
   * Ends the run after the step under way, with a checkpoint. Where that step is being evaluated, it is taken back: the run
   * that goes on makes it again, with its evaluation.
   */
  readonly signal?: AbortSignal | undefined;
  /** Is told what the run trains on, before the first step. */
  readonly onDevice?: ((device: TrainingDevice) => void) | undefined;
  /**
   * Is given the model of the best validation loss whenever there is a better one: the files of its checkpoint by name, as
   * `out` would get them.
   */
  readonly onModel?: ((files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) => void) | undefined;
  /** Is told how many batches of a split an evaluation has taken, of how many. */
  readonly onEvaluation?: ((done: number, total: number) => void) | undefined;
}

/** What a run trains on. */
export interface TrainingDevice {
  /** Which executor it is. */
  readonly backend: Backend;
  /** The device, in words. */
  readonly device: string;
  /** What it is, or why it is this one, as it follows the name; undefined where there is nothing to say. */
  readonly note: string | undefined;
  /** That a run that goes on has other bits on it; undefined where it has the same. */
  readonly warning: string | undefined;
  /** About how long a step takes, in milliseconds, where that can be told before one was made. */
  readonly expectedStepMs: number | undefined;
}

/**
 * Trains a task's model, step by step: stop iterating, and training stops.
 *
 * The same task on the same executor and device gives the same bits, interrupted or not.
 *
 * @throws {RangeError} If a setting asks for what this version cannot do, the model is too large for the device, or the
 * loss is not finite.
 * @throws {TypeError} If `out` holds something else than a run, a run that the options say nothing about, or one with other
 * data or settings.
 *
 * @example Until it is good enough
 * ```ts
 * import { loadTask, train } from "../../mod.ts";
 *
 * const task = await loadTask("text", {
 *   data: "LICENSE",
 *   model: { d_model: 16, n_layer: 1 },
 *   hyperparameters: { steps: 4, batchSize: 2, seqlen: 16, evaluateEvery: 2 },
 * });
 * for await (const { step, loss, validation } of train(task)) {
 *   console.log(step, loss);
 *   if (validation !== undefined && validation.loss < 1) break;
 * }
 * ```
 */
export async function* train(task: Task, options: TrainOptions = {}): AsyncGenerator<TrainingStep> {
  const { out, resume, overwrite } = options;
  refuseUnsupported(task);
  if (resume && out === undefined) throw new TypeError("Cannot resume: no folder is given");
  const folder = out === undefined ? undefined : await openRunFolder(out, { resume, overwrite });
  try {
    yield* trainIn(folder, task, options);
  } finally {
    folder?.[Symbol.dispose]();
  }
}

/** Trains in a run's folder, or in none. */
async function* trainIn(
  folder: RunFolder | undefined,
  task: Task,
  options: TrainOptions,
): AsyncGenerator<TrainingStep> {
  const begun = await folder?.startRun(task);
  const { settings, point: resumed } = begun ?? { settings: task.defaults };
  const { executor, ...notes } = await openExecutor(
    task.config,
    trainingSettings(settings, task.train),
    options,
    begun?.backend,
  );
  const trainer = new Trainer(executor);
  try {
    yield* makeSteps(task, options, { folder, executor, notes, trainer, settings, resumed });
  } finally {
    trainer[Symbol.dispose]();
  }
}

/** What a run's steps are made with. */
interface Run {
  readonly folder: RunFolder | undefined;
  readonly executor: TrainingExecutor;
  readonly notes: Pick<TrainingDevice, "note" | "warning">;
  readonly trainer: Trainer;
  readonly settings: Hyperparameters;
  /** The point to go on from, of a run that is resumed. */
  readonly resumed: ResumePoint | undefined;
}

async function* makeSteps(
  task: Task,
  options: TrainOptions,
  { folder, executor, notes, trainer, settings, resumed }: Run,
): AsyncGenerator<TrainingStep> {
  const { config } = task;
  const { out, signal, onDevice, onModel } = options;
  if (resumed === undefined) {
    trainer.load(await task.initial?.() ?? initialise(config, settings.seed));
  }
  let position: Position = START;
  let bestLoss = Infinity;
  /** Parameters that gave it. */
  let best: NamedValues | undefined;
  /** Evaluations since then. */
  let sinceBest = 0;
  if (resumed !== undefined) {
    trainer.restore(resumed.step, resumed);
    ({ position, bestLoss, sinceBest } = resumed);
    if (task.test !== undefined && Number.isFinite(bestLoss)) {
      best = await folder?.readModel(config);
    }
  }
  let hasBegun = false;
  let savedStep = trainer.step;
  const pointOfNow = async (): Promise<ResumePoint> => ({
    step: trainer.step,
    position,
    bestLoss,
    sinceBest,
    ...await trainer.save(),
  });
  const save = async (point: ResumePoint): Promise<void> => {
    await folder?.save(config, point);
    savedStep = point.step;
  };
  // What does not fit is refused before its batches are made.
  const shape = { batch: settings.batchSize, seqlen: settings.seqlen };
  trainer.prepare(shape);
  const passMs = executor.expectedPassMs(shape);
  onDevice?.({
    ...{ backend: executor.backend, device: executor.device, ...notes },
    expectedStepMs: passMs && passMs * settings.accumulation,
  });
  let batches = takeBatches(task.train, position, settings.accumulation);
  let burstLength = 1;
  const { patience } = settings;
  const hasEnded = (): boolean =>
    trainer.step >= settings.steps || (patience > 0 && sinceBest >= patience);
  while (!hasEnded()) {
    const start = performance.now();
    const { evaluateEvery, steps } = settings;
    const due = Math.min(steps, (Math.floor(trainer.step / evaluateEvery) + 1) * evaluateEvery);
    const end = Math.min(due, trainer.step + burstLength);
    // What may be taken back: the steps after the one that ends the run, and one whose evaluation does not end.
    if (end > trainer.step + 1 || end === due) trainer.keep();
    const burst: Batches[] = [];
    while (trainer.step < end) {
      await trainer.submit(batches, learningRateAt(settings, trainer.step));
      burst.push(batches);
      // The next batches are made while the device works.
      batches = takeBatches(task.train, nextOf(batches), settings.accumulation);
    }
    await eventLoopTurn();
    const results = await trainer.results();
    const stepMs = (performance.now() - start) / burst.length;
    const most = Math.min(trainer.maxInFlight / settings.accumulation, BURST_MS / stepMs);
    burstLength = Math.max(1, Math.floor(most));
    for (const [index, own] of burst.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error("Cannot train: a step has no result");
      const { step, loss, norm } = result;
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
        throw new RangeError(describeFailure(step, describeResult(result), out, savedStep));
      }
      if (!hasBegun) await folder?.begin(executor.backend);
      hasBegun = true;
      const before = { position, bestLoss, sinceBest };
      /** Ends the run before this step. */
      const stopBefore = async (): Promise<void> => {
        await takeBack(trainer, burst.slice(0, index), settings);
        ({ position, bestLoss, sinceBest } = before);
        await save(await pointOfNow());
      };
      position = nextOf(own);
      let validation: SplitResult | undefined;
      let test: SplitResult | undefined;
      let point: ResumePoint | undefined;
      if (step === due) {
        validation = await evaluateSplit(trainer, task.validation, {
          ...options,
          most: evaluationBatches(task, settings),
        });
        if (validation === undefined) return await stopBefore();
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
          await folder?.writeModel(config, best);
          onModel?.(encodeCheckpoint(config, best, task.tokenizer));
        }
        point = await pointOfNow();
        if (hasEnded() && task.test !== undefined && best !== undefined) {
          trainer.load(best);
          test = await evaluateSplit(trainer, task.test, options);
          if (test === undefined) return await stopBefore();
        }
      }
      const told: TrainingStep = {
        step,
        loss,
        learningRate: learningRateAt(settings, step - 1),
        gradientNorm: norm,
        stepMs,
        tokensPerStep: own.reduce((sum, { batch, seqlen }) => sum + batch * seqlen, 0),
        validation,
        test,
      };
      folder?.note(told);
      try {
        yield told;
      } finally {
        // Only now: a run killed before it measures again what nobody may have noted.
        if (point !== undefined) await save(point);
      }
      if (signal?.aborted) {
        if (index + 1 < burst.length) await takeBack(trainer, burst.slice(0, index + 1), settings);
        if (point === undefined) await save(await pointOfNow());
        return;
      }
    }
  }
}

/** What of a run's settings an executor needs. */
function trainingSettings(settings: Hyperparameters, { batchSize }: Source): TrainingSettings {
  const { beta1, beta2, eps, weightDecay, clipNorm, labelSmoothing, dropout, seed } = settings;
  return {
    ...{ beta1, beta2, eps, weightDecay, labelSmoothing },
    maxNorm: clipNorm === 0 ? Infinity : clipNorm,
    ...(dropout > 0 ? { dropout: { probability: dropout, seed } } : {}),
    ...(settings.carryState ? { carriedSequences: batchSize } : {}),
  };
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

/** How an evaluation goes. */
interface EvaluationOptions extends Pick<TrainOptions, "signal" | "onEvaluation"> {
  /** Batches to take at most. */
  readonly most?: number;
}

/** Evaluates the parameters on the first batches of a split, or on all; undefined where its signal ended it before. */
async function evaluateSplit(
  trainer: Trainer,
  source: Source,
  { most = Infinity, signal, onEvaluation = () => {} }: EvaluationOptions,
): Promise<SplitResult | undefined> {
  const all = Math.ceil(source.batchesPerEpoch);
  const batches = Math.min(all, most);
  let done = 0;
  const taken = function* (): Generator<Batch> {
    for (const batch of firstBatches(source, batches)) {
      if (signal?.aborted) return;
      yield batch;
      onEvaluation(++done, batches);
    }
  };
  const { loss, count, correct } = await trainer.evaluate(taken());
  if (signal?.aborted && done < batches) return undefined;
  return {
    loss: loss / count,
    accuracy: correct === undefined ? undefined : correct / count,
    ...(batches < all ? { batches } : {}),
  };
}

/** A step costs its forward pass, and about twice that for the gradients. */
const STEP_COST = 3;

/** How many validation batches an evaluation takes. */
function evaluationBatches({ train, validation }: Task, settings: Hyperparameters): number {
  if (settings.evaluationBatches > 0) return settings.evaluationBatches;
  const steps = settings.evaluateEvery * settings.accumulation;
  const trained = steps * train.batchSize * train.seqlen;
  return Math.ceil(STEP_COST * trained / (validation.batchSize * validation.seqlen));
}

function* firstBatches(source: Source, count: number): Generator<Batch> {
  let done = 0;
  for (let position = START; position.epoch === 0 && done < count; done++) {
    const batch = source.batch(position);
    yield batch;
    position = batch.next;
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
  throw new SettingError(`Cannot train ${name} with carryState: its model is a classifier`);
}
