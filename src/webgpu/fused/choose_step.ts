/** Which way steps go on a device: as a list of dispatches, or whole steps in one. It is tried, not guessed. */

import type { Gpu } from "../../gpu/device.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { inputWidth } from "../../model/ends.ts";
import type { StateArray } from "../../model/executor.ts";
import { mixerOf } from "../../model/mixers/mixers.ts";
import { RING } from "../../model/sampler.ts";
import type { StepChoice } from "../../model/step_choice.ts";
import type { WebGpuExecutor } from "../executor.ts";
import type { WebGpuState } from "../executor_state.ts";
import type { ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { FusedStep, hasKernel } from "./fused_step.ts";
import { findGrid, numbersUpTo, STEP_LANES } from "./grid.ts";
import { PlacesError } from "./places.ts";
import type { StepTuning } from "./plan.ts";

/** Lanes on a software adapter, which runs them one after the other. */
const SOFTWARE_LANES = 256;

/** A software adapter ends loops by itself, and hardly runs workgroups at the same time: one has nobody to wait for. */
const SOFTWARE: StepTuning = { groups: 1, lanes: SOFTWARE_LANES };

/** Looks of a workgroup on a software adapter. */
const SOFTWARE_PATIENCE = 2 ** 28;

/** With fewer layers a list is short, and nothing is gained that compiling another kernel would be worth. */
const LEAST_LAYERS = 4;

/** Steps of the first trial, which is compared; and of those that are timed, as many as a burst has. */
const [COMPARED_STEPS, TIMED_STEPS] = [8, RING];

/** Times that each way is timed, and milliseconds after which no further is begun. */
const [TRIALS, TRIALS_MS] = [3, 300];

/** Device time before that. */
const WARM_UP_MS = 300;

/**
 * Gives the executor whole steps in one dispatch, if they are wanted, come to the same results and, with "auto", are
 * quicker.
 *
 * @returns What was chosen and why; undefined where nothing was tried.
 * @throws {TypeError} If "fused" is asked for and cannot be had.
 */
export async function chooseStep(
  gpu: Gpu,
  executor: WebGpuExecutor,
  weights: ModelWeights<WebGpuKinds>,
  wanted: StepChoice,
): Promise<string | undefined> {
  if (wanted === "list") return undefined;
  if (wanted === "auto" && (gpu.isSoftware || !isWorthwhile(executor.config))) return undefined;
  try {
    const tunings = gpu.isSoftware ? [SOFTWARE] : await hardwareTunings(gpu, executor.config);
    const patience = gpu.isSoftware ? SOFTWARE_PATIENCE : undefined;
    const warmUpMs = gpu.isSoftware ? 0 : WARM_UP_MS;
    for (const tuning of tunings) {
      const fused = new FusedStep(gpu, executor.config, weights, tuning, patience);
      const choice = await tryFused(executor, fused, { wanted, warmUpMs });
      if (choice !== undefined) return choice;
    }
    throw new PlacesError("workgroups waited for each other in vain");
  } catch (error) {
    if (!(error instanceof PlacesError)) throw error;
    if (wanted === "fused") {
      throw new TypeError(`Cannot run whole steps in one dispatch: ${error.message}`);
    }
    return `steps are a list of dispatches: ${error.message}`;
  }
}

function isWorthwhile(config: ModelConfig): boolean {
  return hasKernel(config) && config.n_layer >= LEAST_LAYERS;
}

/** Channels that a workgroup has at least: of a narrow model, more of them wait longer than they compute. */
const LEAST_CHANNELS = 12;

/** Workgroups that any model may have. */
const FEW_GROUPS = 16;

/** The most workgroups first. */
async function hardwareTunings(gpu: Gpu, config: ModelConfig): Promise<StepTuning[]> {
  const most = Math.min(STEP_LANES, gpu.device.limits.maxComputeInvocationsPerWorkgroup);
  const lanes = most - most % 64;
  if (lanes < 256) {
    throw new PlacesError(`a workgroup has ${most} lanes at most, and 256 are needed`);
  }
  const { groups } = await findGrid(gpu, lanes);
  if (groups === 0) throw new PlacesError("workgroups waited for each other in vain");
  const useful = Math.max(FEW_GROUPS, Math.floor(innerWidth(config) / LEAST_CHANNELS));
  return numbersUpTo(Math.min(groups, useful)).map((number) => ({ groups: number, lanes }));
}

function innerWidth(config: ModelConfig): number {
  return mixerOf(config).innerWidth?.(config) ?? config.d_model;
}

/**
 * Runs both ways from one state, compares what they leave, and times them in turns.
 *
 * @returns What was chosen and why, or undefined if workgroups waited for each other in vain.
 * @throws {PlacesError} If the results are others.
 */
async function tryFused(
  executor: WebGpuExecutor,
  fused: FusedStep,
  { wanted, warmUpMs }: { readonly wanted: StepChoice; readonly warmUpMs: number },
): Promise<string | undefined> {
  const listed = await Trial.begin(executor, undefined);
  try {
    const own = await Trial.begin(executor, fused);
    try {
      if (own.isLost) return undefined;
      const problem = differenceOf(listed.found, own.found);
      if (problem !== undefined) throw new PlacesError(`whole in one dispatch, ${problem}`);
      await timeInTurns(listed, own, warmUpMs);
      if (own.isLost) return undefined;
      const isTaken = wanted === "fused" || own.microseconds < listed.microseconds;
      if (isTaken) executor.useFused(fused);
      return noteOf(isTaken, { listed, own, groups: fused.plan.groups });
    } finally {
      own[Symbol.dispose]();
    }
  } finally {
    listed[Symbol.dispose]();
    if (!executor.usesFused) fused[Symbol.dispose]();
  }
}

async function timeInTurns(listed: Trial, own: Trial, warmUpMs: number): Promise<void> {
  // Until the device has left its idle clocks.
  const start = performance.now();
  while (performance.now() - start < warmUpMs) await listed.run();
  const begin = performance.now();
  for (let run = 0; run < TRIALS && performance.now() - begin < TRIALS_MS; run++) {
    await listed.run();
    await own.run();
  }
}

function noteOf(
  isTaken: boolean,
  { listed, own, groups }: {
    readonly listed: Trial;
    readonly own: Trial;
    readonly groups: number;
  },
): string {
  const [whole, list] = [own, listed].map(({ microseconds }) => `${microseconds.toFixed(0)} us`);
  return isTaken
    ? `steps go whole in one dispatch of ${groups} workgroups: one takes ${whole}, and ${list} as a list`
    : `steps are a list of dispatches: one takes ${list}, and ${whole} whole in one dispatch`;
}

/** One way, with a state of its own. */
class Trial implements Disposable {
  /** What the first steps left. */
  found: readonly StateArray[] = [];
  /** Whether workgroups waited in vain: then nothing more is run. */
  isLost = false;
  /** The quickest run's, of a step. */
  microseconds = Infinity;
  readonly #executor: WebGpuExecutor;
  readonly #fused: FusedStep | undefined;
  readonly #state: WebGpuState;
  readonly #keep: WebGpuState;

  private constructor(executor: WebGpuExecutor, fused: FusedStep | undefined) {
    this.#executor = executor;
    this.#fused = fused;
    this.#state = executor.createState(1);
    this.#keep = executor.createState(1);
  }

  /** Makes the first steps. */
  static async begin(executor: WebGpuExecutor, fused: FusedStep | undefined): Promise<Trial> {
    const trial = new Trial(executor, fused);
    executor.setSampler(trial.#state, {
      ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 },
    });
    await trial.#steps(COMPARED_STEPS, true);
    trial.found = await executor.readState(trial.#state);
    return trial;
  }

  /** Makes some more, and times them. */
  async run(): Promise<void> {
    if (this.isLost) return;
    const start = performance.now();
    await this.#steps(TIMED_STEPS, false);
    const elapsed = (performance.now() - start) * 1000 / TIMED_STEPS;
    this.microseconds = Math.min(this.microseconds, elapsed);
  }

  /** Leaves the executor with a list. */
  async #steps(steps: number, isFirst: boolean): Promise<void> {
    this.#executor.useFused(this.#fused);
    await this.#run(steps, isFirst);
    this.isLost = this.#fused !== undefined && !this.#executor.usesFused;
    this.#executor.useFused(undefined);
  }

  async #run(steps: number, isFirst: boolean): Promise<void> {
    const { config } = this.#executor;
    const state = this.#state;
    if (config.head.kind === "lm") {
      if (isFirst) await this.#executor.forward(state, new Uint32Array(1), { logits: "last" });
      await this.#executor.draw([{ state, steps, consumeFirst: !isFirst, keep: this.#keep }]);
      return;
    }
    for (let step = 0; step < steps; step++) {
      await this.#executor.forward(state, trialInput(config, step), { logits: "last" });
    }
  }

  [Symbol.dispose](): void {
    this.#state[Symbol.dispose]();
    this.#keep[Symbol.dispose]();
  }
}

function trialInput(config: ModelConfig, step: number): Uint32Array | Float32Array {
  if (config.input.kind === "embedding") return new Uint32Array([step % config.input.vocab_size]);
  return Float32Array.from({ length: inputWidth(config) }, (_, i) => Math.sin(step + i));
}

/** What is different, in words, or undefined: a sequence alone must have the bits that it has in company. */
function differenceOf(expected: readonly StateArray[], found: readonly StateArray[]) {
  const other = expected.find(({ bytes }, index) => {
    const own = found[index]?.bytes;
    return bytes.some((byte, i) => byte !== own?.[i]);
  });
  return other && `${other.name} has other bits`;
}
