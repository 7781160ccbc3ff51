/** The command line of `train.ts`, and the task that it asks for. */

import {
  COMMON,
  type Hyperparameters,
  type ModelSize,
  type Task,
  type TaskOptions,
} from "../../train/task.ts";
import { mixers } from "../../model/mixers/mixers.ts";
import type { RunDescription } from "../../train/run/run_description.ts";
import { loadTask } from "../../train/tasks/load_task.ts";
import { type Arguments, type CommandSpec, UsageError } from "../terminal/arguments.ts";
import { BACKEND_OPTION } from "../terminal/backend_options.ts";
import { describePresets } from "./presets.ts";
import { CHANGES, type NumberName, NUMBERS, OWN, SIZES } from "./setting_options.ts";

const MIXER_NAMES = mixers().map(({ name }) => name).join(" or ");

/** The default in words, where most tasks agree on it: what differs stands beside the presets. */
function defaultOf(key: NumberName): string {
  const common: Partial<Hyperparameters> = COMMON;
  return common[key] === undefined ? " (default: the preset's)" : ` (default: ${common[key]})`;
}

/** What the parser and the help know of it. */
export const TRAIN: CommandSpec = {
  name: "",
  summary:
    "Trains a model on the GPU or the CPU, and writes a checkpoint that infer.ts loads as it is.",
  positionals: ["[task]"],
  required: 0,
  example: "mnist --preset rows --out trained/mnist",
  details: [
    describePresets(),
    "Ctrl-C writes a checkpoint, and --resume goes on from it with the same bits, on the same device. A second Ctrl-C stops at once.",
    "--version alone prints the version.",
  ],
  options: [
    {
      name: "data",
      value: "PATH",
      help: "File or folder of the data (default: the task's own source)",
    },
    {
      name: "preset",
      value: "NAME",
      help: "One of the task's presets (default: its first, or on a CPU the one for it)",
    },
    { name: "tokenizer", value: "FILE", help: "A tokenizer.json, for text (default: characters)" },
    {
      name: "held-out",
      value: "N",
      help: "Examples to validate with; 0 for the test's (default: 5000 images, a tenth of sound)",
    },
    {
      name: "test",
      value: "PATTERN",
      help:
        "Recordings to test with, by path (default: those in a folder test, and *_0.wav to *_4.wav)",
    },
    { name: "out", value: "DIR", help: "Where the checkpoint goes (default: trained/<task>)" },
    {
      name: "from",
      value: "DIR",
      help: "Begin with the weights of this checkpoint, of the same sizes (default: random ones)",
    },
    {
      name: "resume",
      value: "DIR",
      help: "Go on with the run in this folder, and its settings; --steps extends it",
    },
    { name: "overwrite", help: "Begin anew in the place of the run in --out" },
    { name: "epochs", value: "N", help: "Times through the data, instead of --steps" },
    ...NUMBERS.map(([name, key, help]) => ({ name, value: "N", help: help + defaultOf(key) })),
    {
      name: "mixer",
      value: "NAME",
      help: `${MIXER_NAMES} (default: mamba1)`,
    },
    ...SIZES.map(([name, , help]) => ({ name, value: "N", help })),
    ...OWN.map(([name, { help, words }]) => (
      { name, value: words === undefined ? "N" : "NAME", help }
    )),
    ...CHANGES.map(([name, , help]) => ({
      name,
      value: "N",
      help: `${help} (default: the task's)`,
    })),
    { name: "carry-state", help: "Carry the state from window to window of a text" },
    BACKEND_OPTION,
    { name: "threads", value: "N", help: "Threads on the CPU (default: one a core, up to 8)" },
    { name: "json", help: "Print one JSON object a step" },
    { name: "help", help: "Show this help" },
  ],
};

/**
 * What a task is loaded with: the settings that are given, in place of those of a run that goes on.
 *
 * @throws {UsageError} If a mixer is unknown, or a value is no number.
 */
export function taskOptions(args: Arguments, saved?: RunDescription): TaskOptions {
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
  const text = (option: "data" | "preset" | "tokenizer" | "test" | "from") => {
    const value = args.text(option);
    return value === undefined ? {} : { [option]: value };
  };
  const heldOut = args.integer("held-out", { min: 0 });
  const changes = { ...saved?.options?.changes, ...pick(CHANGES) };
  return {
    ...saved?.options,
    ...(heldOut === undefined ? {} : { heldOut }),
    ...text("data"),
    ...text("preset"),
    ...text("tokenizer"),
    ...text("test"),
    ...text("from"),
    ...(Object.keys(changes).length === 0 ? {} : { changes }),
    hyperparameters: {
      ...saved?.settings,
      ...pick(NUMBERS),
      ...(args.has("carry-state") ? { carryState: true } : {}),
    },
    model: {
      ...saved?.options?.model,
      ...pick(SIZES),
      ...mixerOf(args.text("mixer")),
      ...ownOf(args),
    },
  };
}

/**
 * Loads the task of this name, for as many steps as the command line asks for.
 *
 * @throws {UsageError} If two of its options exclude each other.
 */
export async function loadTaskFor(
  name: string,
  args: Arguments,
  options: TaskOptions,
): Promise<Task> {
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
  // What happens to the data may depend on the number of steps.
  return await loadTask(name, {
    ...options,
    hyperparameters: { ...options.hyperparameters, steps },
  });
}

/** What is given of the mixers' own options. */
function ownOf(args: Arguments): Record<string, number | string> {
  const found: Record<string, number | string> = {};
  for (const [option, { name, words }] of OWN) {
    const value = words === undefined ? args.number(option) : args.word(option, words);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function mixerOf(name: string | undefined): Pick<ModelSize, "mixer"> {
  if (name === undefined) return {};
  if (mixers().some((mixer) => mixer.name === name)) return { mixer: name };
  throw new UsageError(`--mixer is "${name}", expected ${MIXER_NAMES}`);
}
