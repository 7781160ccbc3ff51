/** Which way steps go on a device: as a list of dispatches, or whole steps in one. It is tried, not guessed. */

import type { Gpu } from "../../gpu/device.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { inputWidth } from "../../model/ends.ts";
import type { StateArray } from "../../model/executor.ts";
import type { StepChoice } from "../../model/step_choice.ts";
import type { WebGpuExecutor } from "../executor.ts";
import type { WebGpuState } from "../executor_state.ts";
import type { ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { FusedStep } from "./fused_step.ts";
import { findGrid, numbersUpTo, STEP_LANES } from "./grid.ts";
import { PlacesError } from "./places.ts";
import type { StepTuning } from "./plan.ts";

/** Lanes on a software adapter, which runs them one after the other. */
const SOFTWARE_LANES = 256;

/** A software adapter ends loops by itself, and hardly runs workgroups at the same time: one has nobody to wait for. */
const SOFTWARE: StepTuning = { groups: 1, lanes: SOFTWARE_LANES };

/** Looks of a workgroup on a software adapter. */
const SOFTWARE_PATIENCE = 2 ** 28;

/** Models that are tried: weights/shakespeare, of 256, was no quicker whole on an H100, where meetings are most of a step. */
const LEAST_WIDTH = 512;

/** Steps of a trial. */
const TRIAL_STEPS = 8;

/** Times that each way is timed. */
const TRIALS = 3;

/** Device time before that. */
const WARM_UP_MS = 300;

/**
 * Gives the executor whole steps in one dispatch, if they are wanted, come to the same results and, with "auto", are
 * quicker.
 *
 * @returns What was chosen and why; undefined for a list that was asked for.
 * @throws {TypeError} If "fused" is asked for and cannot be had.
 */
export async function chooseStep(
  gpu: Gpu,
  executor: WebGpuExecutor,
  weights: ModelWeights<WebGpuKinds>,
  wanted: StepChoice,
): Promise<string | undefined> {
  if (wanted === "list") return undefined;
  if (wanted === "auto" && gpu.isSoftware) {
    return "steps are a list of dispatches: workgroups of a software adapter hardly run at the same time";
  }
  if (wanted === "auto" && executor.config.d_model < LEAST_WIDTH) {
    return "steps are a list of dispatches, which is quicker for a model of this size";
  }
  try {
    const tunings = gpu.isSoftware ? [SOFTWARE] : await hardwareTunings(gpu);
    const patience = gpu.isSoftware ? SOFTWARE_PATIENCE : undefined;
    const warmUpMs = gpu.isSoftware ? 0 : WARM_UP_MS;
    let problem: unknown;
    for (const tuning of tunings) {
      try {
        const fused = new FusedStep(gpu, executor.config, weights, tuning, patience);
        return await tryFused(executor, fused, { wanted, warmUpMs });
      } catch (error) {
        if (!(error instanceof PlacesError)) throw error;
        problem = error;
      }
    }
    throw problem;
  } catch (error) {
    if (!(error instanceof PlacesError)) throw error;
    if (wanted === "fused") {
      throw new TypeError(`Cannot run whole steps in one dispatch: ${error.message}`);
    }
    return `steps are a list of dispatches: ${error.message}`;
  }
}

/** The most workgroups first. */
async function hardwareTunings(gpu: Gpu): Promise<StepTuning[]> {
  const lanes = Math.min(STEP_LANES, gpu.device.limits.maxComputeInvocationsPerWorkgroup);
  if (lanes < 256) {
    throw new PlacesError(`a workgroup has ${lanes} lanes at most, and 256 are needed`);
  }
  const { groups } = await findGrid(gpu, lanes - lanes % 64);
  if (groups === 0) throw new PlacesError("workgroups waited for each other in vain");
  return numbersUpTo(groups).map((number) => ({ groups: number, lanes: lanes - lanes % 64 }));
}

/** Runs both ways from one state, compares what they leave, and times them in turns. */
async function tryFused(
  executor: WebGpuExecutor,
  fused: FusedStep,
  { wanted, warmUpMs }: { readonly wanted: StepChoice; readonly warmUpMs: number },
): Promise<string> {
  const listed = await Trial.begin(executor, undefined);
  try {
    const own = await Trial.begin(executor, fused);
    try {
      return await compare(executor, fused, { listed, own, wanted, warmUpMs });
    } finally {
      own[Symbol.dispose]();
    }
  } finally {
    listed[Symbol.dispose]();
  }
}

async function compare(
  executor: WebGpuExecutor,
  fused: FusedStep,
  { listed, own, wanted, warmUpMs }: {
    readonly listed: Trial;
    readonly own: Trial;
    readonly wanted: StepChoice;
    readonly warmUpMs: number;
  },
): Promise<string> {
  const problem = executor.usesFused
    ? differenceOf(listed.found, own.found)
    : "workgroups waited for each other in vain";
  if (problem === undefined) {
    // Until the device has left its idle clocks.
    const start = performance.now();
    while (performance.now() - start < warmUpMs) await listed.run();
    for (let run = 0; run < TRIALS; run++) {
      await listed.run();
      await own.run();
    }
    const isQuicker = own.microseconds < listed.microseconds;
    const times = [own, listed].map(({ microseconds }) => `${microseconds.toFixed(0)} us`);
    if (isQuicker || wanted === "fused") {
      executor.useFused(fused);
      return `steps go whole in one dispatch of ${fused.plan.groups} workgroups: one takes ${
        times[0]
      }, ` +
        `and ${times[1]} as a list`;
    }
    executor.useFused(undefined);
    fused[Symbol.dispose]();
    return `steps are a list of dispatches: one takes ${times[1]}, and ${
      times[0]
    } whole in one dispatch`;
  }
  executor.useFused(undefined);
  fused[Symbol.dispose]();
  throw new PlacesError(`whole in one dispatch, ${problem}`);
}

/** One way, with a state of its own. */
class Trial implements Disposable {
  /** What the first steps left. */
  found: readonly StateArray[] = [];
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
    executor.useFused(fused);
    await runTrial(executor, { state: trial.#state, keep: trial.#keep, first: true });
    trial.found = await executor.readState(trial.#state);
    return trial;
  }

  /** Makes some more, and times them. */
  async run(): Promise<void> {
    this.#executor.useFused(this.#fused);
    const start = performance.now();
    await runTrial(this.#executor, { state: this.#state, keep: this.#keep, first: false });
    const elapsed = (performance.now() - start) * 1000 / TRIAL_STEPS;
    this.microseconds = Math.min(this.microseconds, elapsed);
  }

  [Symbol.dispose](): void {
    this.#state[Symbol.dispose]();
    this.#keep[Symbol.dispose]();
  }
}

async function runTrial(
  executor: WebGpuExecutor,
  { state, keep, first }: {
    readonly state: WebGpuState;
    readonly keep: WebGpuState;
    readonly first: boolean;
  },
): Promise<void> {
  const { config } = executor;
  if (config.head.kind === "lm") {
    if (first) await executor.forward(state, new Uint32Array(1), { logits: "last" });
    await executor.draw([{ state, steps: TRIAL_STEPS, consumeFirst: !first, keep }]);
    return;
  }
  for (let step = 0; step < TRIAL_STEPS; step++) {
    await executor.forward(state, trialInput(config, step), { logits: "last" });
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
