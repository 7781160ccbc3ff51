/** The command line of `train.ts`, and the task that it asks for. */

import {
  type Hyperparameters,
  type ModelSize,
  settings,
  type Task,
  type TaskOptions,
} from "../../train/task.ts";
import { mixers } from "../../model/mixers/mixers.ts";
import type { RunDescription } from "../../train/run_description.ts";
import { loadTask, TASK_NAMES } from "../../train/tasks/load_task.ts";
import { type Arguments, type CommandSpec, UsageError } from "../terminal/arguments.ts";

/** Names of the settings that are numbers. */
type NumberName = {
  [Name in keyof Hyperparameters]: Hyperparameters[Name] extends number ? Name : never;
}[keyof Hyperparameters];

const MIXER_NAMES = mixers().map(({ name }) => name).join(" or ");

/** Settings with numbers for values: option, key, what it is. */
const NUMBERS: readonly (readonly [string, NumberName, string])[] = [
  ["steps", "steps", "Steps of the whole run"],
  ["batch-size", "batchSize", "Sequences of a batch"],
  ["seqlen", "seqlen", "Steps of a sequence; only text can be cut to any"],
  ["accumulation", "accumulation", "Batches whose gradients are added up for each step"],
  ["learning-rate", "learningRate", "Highest learning rate"],
  ["minimum-learning-rate", "minimumLearningRate", "Where the cosine ends"],
  ["warmup-steps", "warmupSteps", "Steps over which the rate rises"],
  ["weight-decay", "weightDecay", "Decoupled; for matrices and convolutions only"],
  ["beta1", "beta1", "Decay of AdamW's mean of gradients"],
  ["beta2", "beta2", "Decay of AdamW's mean of squares"],
  ["dropout", "dropout", "Share of embedding and block outputs dropped in training"],
  ["label-smoothing", "labelSmoothing", "Share of each target spread over all classes in training"],
  ["clip-norm", "clipNorm", "Largest norm of the gradient; 0 for any"],
  ["evaluate-every", "evaluateEvery", "Steps between evaluations, each with a checkpoint"],
  [
    "patience",
    "patience",
    "Evaluations without a better loss that end the run (default: 0, none do)",
  ],
  ["seed", "seed", "Of weights and order of the data (default: 1)"],
];

/** Sizes of the model. */
const SIZES: readonly (readonly [string, Exclude<keyof ModelSize, "mixer">, string])[] = [
  ["d-model", "d_model", "Width of the residual stream"],
  ["n-layer", "n_layer", "Blocks"],
  ["d-state", "d_state", "States a channel"],
  ["d-conv", "d_conv", "Taps of the convolution"],
  ["expand", "expand", "Channels of a block, times d_model"],
  ["headdim", "headdim", "Channels of a head of Mamba-2 (default: 64)"],
];

/** What the parser and the help know of it. */
export const TRAIN: CommandSpec = {
  name: "",
  summary: "Trains a model on the GPU, and writes a checkpoint that infer.ts loads as it is.",
  positionals: ["[task]"],
  required: 0,
  example: "mnist --preset rows --out trained/mnist",
  details: [
    `Tasks: ${
      TASK_NAMES.join(", ")
    } (default: mnist). Settings that are not given are the task's own.`,
    "Ctrl-C writes a checkpoint, and --resume goes on from it with the same bits. A second Ctrl-C stops at once.",
  ],
  options: [
    {
      name: "data",
      value: "PATH",
      help: "File or folder of the data (default: the task's own source)",
    },
    { name: "preset", value: "NAME", help: "One of the task's presets (default: its first)" },
    { name: "tokenizer", value: "FILE", help: "A tokenizer.json, for text (default: characters)" },
    {
      name: "held-out",
      value: "N",
      help: "Training images to validate with; 0 for the test images (default: 5000)",
    },
    { name: "out", value: "DIR", help: "Where the checkpoint goes (default: trained/<task>)" },
    {
      name: "resume",
      value: "DIR",
      help: "Go on with the run in this folder, and its settings; --steps extends it",
    },
    { name: "overwrite", help: "Begin anew in the place of the run in --out" },
    { name: "epochs", value: "N", help: "Times through the data, instead of --steps" },
    ...NUMBERS.map(([name, , help]) => ({ name, value: "N", help })),
    {
      name: "mixer",
      value: "NAME",
      help: `${MIXER_NAMES} (default: mamba1)`,
    },
    ...SIZES.map(([name, , help]) => ({ name, value: "N", help })),
    { name: "carry-state", help: "Carry the state from window to window of a text" },
    { name: "json", help: "Print one JSON object a step" },
    { name: "help", help: "Show this help" },
  ],
};

/**
 * Loads the task of this name with the settings that are given, in place of those of a run that goes on.
 *
 * @throws {UsageError} If two of them exclude each other, or a mixer is unknown.
 */
export async function loadTaskFor(
  name: string,
  args: Arguments,
  saved?: RunDescription,
): Promise<Task> {
  const pick = <Key extends string>(
    list: readonly (readonly [string, Key, string])[],
  ): Partial<Record<Key, number>> => {
    const found: Partial<Record<Key, number>> = {};
    for (const [option, key] of list) {
      const value = args.number(option);
      if (value !== undefined) found[key] = value;
    }
    return found;
  };
  const text = (option: "data" | "preset" | "tokenizer") => {
    const value = args.text(option);
    return value === undefined ? {} : { [option]: value };
  };
  const heldOut = args.integer("held-out", { min: 0 });
  const options: TaskOptions = {
    ...saved?.options,
    ...(heldOut === undefined ? {} : { heldOut }),
    ...text("data"),
    ...text("preset"),
    ...text("tokenizer"),
    hyperparameters: {
      ...saved?.settings,
      ...pick(NUMBERS),
      ...(args.has("carry-state") ? { carryState: true } : {}),
    },
    model: {
      ...saved?.options?.model,
      ...pick(SIZES),
      ...mixerOf(args.text("mixer")),
    },
  };
  const task = await loadTask(name, options);
  const epochs = args.number("epochs", { above: 0 });
  if (epochs === undefined) return task;
  if (args.text("steps") !== undefined) {
    throw new UsageError("Cannot use --steps with --epochs: give one");
  }
  const steps = Math.max(
    1,
    Math.round(epochs * task.train.batchesPerEpoch / task.defaults.accumulation),
  );
  // The data does not depend on the number of steps: it is not loaded again.
  const hyperparameters = { ...options.hyperparameters, steps };
  return {
    ...task,
    defaults: settings(task.defaults, { hyperparameters }),
    options: { ...options, hyperparameters },
  };
}

function mixerOf(name: string | undefined): Pick<ModelSize, "mixer"> {
  if (name === undefined) return {};
  if (mixers().some((mixer) => mixer.name === name)) return { mixer: name };
  throw new UsageError(`--mixer is "${name}", expected ${MIXER_NAMES}`);
}
