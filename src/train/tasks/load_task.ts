/** Tasks by name. A new one is a file with a function, and a line here. */

import { HAS_FILES } from "../../io/file_access.ts";
import type { Backend } from "../../model/executor.ts";
import { readInitialWeights } from "../initial_weights.ts";
import { SettingError } from "../setting_error.ts";
import {
  choosePreset,
  COMMON,
  settings,
  type Task,
  type TaskOptions,
  type TaskPreset,
} from "../task.ts";
import { AUDIO_PRESETS, audioTask } from "./audio.ts";
import { CIFAR10_PRESETS, cifar10Task } from "./cifar10.ts";
import { MNIST_PRESETS, mnistTask } from "./mnist.ts";
import { MNIST_PIXELS_PRESETS, mnistPixelsTask } from "./mnist_pixels.ts";
import { MNIST1D_PRESETS, mnist1dTask } from "./mnist1d.ts";
import { SERIES_PRESETS, seriesTask } from "./series.ts";
import { SHAKESPEARE_PRESETS, shakespeareTask } from "./shakespeare.ts";
import { TEXT_PRESETS, textTask } from "./text.ts";

/** A task that can be loaded. */
export interface KnownTask {
  /** Reads its data. */
  readonly load: (options: TaskOptions) => Promise<Task>;
  /** The first is its default. */
  readonly presets: readonly TaskPreset[];
}

const TASKS: ReadonlyMap<string, KnownTask> = new Map([
  ["mnist", { load: mnistTask, presets: MNIST_PRESETS }],
  ["mnist-pixels", { load: mnistPixelsTask, presets: MNIST_PIXELS_PRESETS }],
  ["text", { load: textTask, presets: TEXT_PRESETS }],
  ["shakespeare", { load: shakespeareTask, presets: SHAKESPEARE_PRESETS }],
  ["cifar10", { load: cifar10Task, presets: CIFAR10_PRESETS }],
  ["series", { load: seriesTask, presets: SERIES_PRESETS }],
  ["mnist1d", { load: mnist1dTask, presets: MNIST1D_PRESETS }],
  ["audio", { load: audioTask, presets: AUDIO_PRESETS }],
]);

/**
 * Names that `loadTask` takes.
 *
 * @example What there is to train
 * ```ts
 * import { TASK_NAMES } from "../../../mod.ts";
 *
 * TASK_NAMES.includes("text"); // true
 * ```
 */
export const TASK_NAMES: readonly string[] = [...TASKS.keys()];

/** The presets of each task, by its name; the first is its default. */
export const TASK_PRESETS: ReadonlyMap<string, readonly TaskPreset[]> = new Map(
  [...TASKS].map(([name, { presets }]) => [name, presets]),
);

/** The preset that suits an executor: the first, or on the CPU the one that is made for it. */
export function defaultPreset(name: string, backend: Backend): string | undefined {
  const presets = TASK_PRESETS.get(name);
  const own = backend === "cpu" && presets?.find(({ isDefaultOnCpu }) => isDefaultOnCpu);
  return (own || presets?.[0])?.name;
}

/** Options that mean nothing to the other tasks. */
const TAKEN_BY: Readonly<Record<"tokenizer" | "heldOut" | "test" | "changes", readonly string[]>> =
  {
    tokenizer: ["text", "shakespeare"],
    heldOut: ["mnist", "mnist-pixels", "cifar10", "audio", "series", "mnist1d"],
    test: ["audio"],
    changes: ["series", "mnist1d", "mnist-pixels"],
  };

/**
 * Loads a task: reads and checks all of its data, so that bad data ends here and not in the middle of a run.
 *
 * @param name One of `TASK_NAMES`.
 * @param options Data, preset, and settings other than the task's own.
 * @throws {SettingError} If there is no task of that name, or an option is out of range or means nothing to it.
 * @throws {SyntaxError} If the data is damaged, or cannot be trained on.
 * @throws {TypeError} If the task needs data, and the options name none; or where there are no files, as in a page.
 *
 * @example A text of yours, with settings of yours
 * ```ts
 * import { loadTask } from "../../../mod.ts";
 *
 * const task = await loadTask("text", {
 *   data: "LICENSE",
 *   model: { d_model: 32, n_layer: 1 },
 *   hyperparameters: { steps: 100, batchSize: 4, seqlen: 32 },
 * });
 * task.summary; // how much there is to train on, and to validate with
 * ```
 */
export async function loadTask(name: string, options: TaskOptions = {}): Promise<Task> {
  const task = checkTask(name, options);
  if (!HAS_FILES) {
    throw new TypeError(
      `Cannot load the task "${name}": its data is read from files, and this runtime lacks Deno's. Run it in Deno, or give ` +
        "train() a task that has its data",
    );
  }
  const { from } = options;
  const loaded = await task.load(options);
  return {
    ...loaded,
    options,
    ...(from === undefined ? {} : { initial: () => readInitialWeights(from, loaded.config) }),
  };
}

/**
 * Checks all that can be told of a task before its data is read.
 *
 * @throws {SettingError} If there is no task of that name, or an option is out of range or means nothing to it.
 */
export function checkTask(name: string, options: TaskOptions): KnownTask {
  const task = TASKS.get(name);
  if (task === undefined) {
    throw new SettingError(
      `Cannot load the task "${name}": the known ones are ${TASK_NAMES.join(", ")}`,
    );
  }
  for (const option of ["tokenizer", "heldOut", "test", "changes"] as const) {
    if (options[option] === undefined || TAKEN_BY[option].includes(name)) continue;
    throw new SettingError(
      `Cannot load the task "${name}": it does not take ${option}, which is for ` +
        TAKEN_BY[option].join(", "),
    );
  }
  const [first, ...others] = task.presets;
  if (first === undefined) throw new Error(`The task "${name}" has no preset`);
  const preset = choosePreset(name, [first.name, ...others.map(({ name }) => name)], options);
  const own = task.presets.find(({ name }) => name === preset)?.settings;
  // Only the data knows what a preset leaves open.
  const open = { steps: 1, batchSize: 1, seqlen: 1, learningRate: 1, minimumLearningRate: 1 };
  settings({ ...COMMON, ...open, ...own }, options);
  return task;
}
