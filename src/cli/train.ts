/** The training program: `train.ts <task>`. */

import { lossCurve } from "../train/loss_curve.ts";
import { type Metrics, openMetrics, readMetrics } from "../train/metrics.ts";
import { progressLine } from "../train/progress_line.ts";
import {
  type Hyperparameters,
  type ModelSize,
  settings,
  type Task,
  type TaskOptions,
} from "../train/task.ts";
import { loadTask, TASK_NAMES } from "../train/tasks/load_task.ts";
import { type SplitResult, train, type TrainingStep } from "../train/train.ts";
import { type Arguments, type CommandSpec, parseArguments, UsageError } from "./arguments.ts";
import { describeError } from "./describe_error.ts";
import { commandHelp } from "./help.ts";
import { catchInterrupt, INTERRUPTED } from "./interrupt.ts";
import { Progress } from "./progress.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { writeFileWhole } from "./write_file.ts";

/** Measurements of all steps, in the run's folder. */
const METRICS_FILE = "training/metrics.jsonl";

/** The command line that began the run, in the run's folder: what --resume alone goes on with. */
const COMMAND_FILE = "training/command.json";

/** Time between two lines of progress where a line cannot be written over. */
const SHOWN_EVERY_MS = 10_000;

/** Names of the settings that are numbers. */
type NumberName = {
  [Name in keyof Hyperparameters]: Hyperparameters[Name] extends number ? Name : never;
}[keyof Hyperparameters];

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

const TRAIN: CommandSpec = {
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
    { name: "resume", value: "DIR", help: "Go on with the run in this folder, and its settings" },
    { name: "epochs", value: "N", help: "Times through the data, instead of --steps" },
    ...NUMBERS.map(([name, , help]) => ({ name, value: "N", help })),
    { name: "mixer", value: "NAME", help: "mamba1 or mamba2 (default: mamba1)" },
    ...SIZES.map(([name, , help]) => ({ name, value: "N", help })),
    { name: "carry-state", help: "Carry the state from window to window of a text" },
    { name: "json", help: "Print one JSON object a step" },
    { name: "help", help: "Show this help" },
  ],
};

/**
 * Runs the program.
 *
 * @returns The exit code: 0, 1 for a failure, 2 for a command line that does not follow the usage, 130 after Ctrl-C.
 */
export async function trainCommand(
  args: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  try {
    if (args.includes("--help") || args.includes("-h")) {
      terminal.write(commandHelp(TRAIN, "deno task train"));
      return 0;
    }
    return await run(await withSavedCommand(args), terminal);
  } catch (error) {
    terminal.writeError(`${describeError(error, "train")}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const [name = "mnist"] = args.positionals;
  const resume = args.text("resume");
  const out = args.text("out") ?? resume ?? `trained/${name}`;
  const task = await prepare(name, args);
  const { defaults, config } = task;
  terminal.writeError(`Task: ${name}, ${task.summary}\n`);
  terminal.writeError(`Model: ${JSON.stringify(config)}\n`);
  terminal.writeError(`Settings: ${JSON.stringify(defaults)}\n`);
  const replaced = resume === undefined && await holdsRun(out);
  terminal.writeError(`Checkpoint: ${out}${replaced ? ", in place of the run there" : ""}\n`);

  using interrupt = catchInterrupt();
  const { signal } = interrupt;
  const onEvaluation = evaluationLine(terminal);
  const steps = train(task, { out, resume: resume !== undefined, signal, onEvaluation });
  const command = await commandOf(name, args);
  const last = await follow(steps, { task, out, command, json: args.has("json"), terminal });
  const metrics = await readMetrics(`${out}/${METRICS_FILE}`);
  await drawCurve(name, out, metrics);
  if (last !== undefined && last.step < defaults.steps && !signal.aborted) {
    terminal.writeError(`No better loss in ${defaults.patience} evaluations: stopped\n`);
  }
  const best = bestOf(metrics);
  if (best !== undefined && !args.has("json")) {
    terminal.write(`Best: ${describe(best)}\n`);
    const tested = metrics.at(-1);
    if (tested?.testLoss !== undefined) terminal.write(`Test: ${figure("test", tested)}\n`);
  }
  // Ctrl-C in the last evaluation finds nothing left to do after it.
  if (!signal.aborted || last?.step === defaults.steps) return 0;
  const resumed = [name, "--resume", out].map(shellWord).join(" ");
  terminal.writeError(`Stopped. Go on with: deno task train ${resumed}\n`);
  return INTERRUPTED;
}

async function holdsRun(folder: string): Promise<boolean> {
  return await Deno.stat(`${folder}/${COMMAND_FILE}`).then(() => true, () => false);
}

/** Shows how far an evaluation is that takes its time. */
function evaluationLine(terminal: Terminal): (done: number, total: number) => void {
  let progress: Progress | undefined;
  return (done, total) => {
    progress ??= new Progress(terminal, { label: "Evaluating", total, unit: "batches" });
    progress.update(done);
    if (done < total) return;
    progress[Symbol.dispose]();
    progress = undefined;
  };
}

/** What says where a run is and how it is shown, not what it is. */
const NOT_OF_A_RUN = ["out", "resume", "json", "help"];

/** The options that were given and belong to the run, by name, each as one argument. */
function optionsOf(args: Arguments): Map<string, string> {
  const options = new Map<string, string>();
  for (const { name } of TRAIN.options) {
    if (NOT_OF_A_RUN.includes(name)) continue;
    const text = args.text(name);
    if (text !== undefined) options.set(name, `--${name}=${text}`);
    else if (args.has(name)) options.set(name, `--${name}`);
  }
  return options;
}

/** What to note of a command line: its task always, and paths that are the same from another folder. */
async function commandOf(task: string, args: Arguments): Promise<string[]> {
  const options = optionsOf(args);
  for (const name of ["data", "tokenizer"]) {
    const path = args.text(name);
    if (path !== undefined) options.set(name, `--${name}=${await Deno.realPath(path)}`);
  }
  return [task, ...options.values()];
}

/**
 * The arguments, and of a run that goes on also those that it began with, where they are not given again.
 *
 * @throws {UsageError} If that run was another task's, or does not say what it was.
 */
async function withSavedCommand(given: readonly string[]): Promise<Arguments> {
  const args = parseArguments(TRAIN, given);
  for (const name of ["out", "resume"]) {
    if (args.text(name) === "") throw new UsageError(`Cannot use --${name}: its folder is ""`);
  }
  const folder = args.text("resume");
  if (folder === undefined) return args;
  if (folder !== (args.text("out") ?? folder)) {
    throw new UsageError("Cannot use --out with --resume: a run goes on in its own folder");
  }
  const saved = await readCommand(`${folder}/${COMMAND_FILE}`);
  const [task] = args.positionals;
  if (saved === undefined) {
    if (task !== undefined) return args;
    throw new UsageError(
      `Cannot go on with "${folder}": its ${COMMAND_FILE} is missing or damaged. Give the task and its settings`,
    );
  }
  const [own = "mnist"] = saved.positionals;
  if (task !== undefined && task !== own) {
    throw new UsageError(`Cannot go on with "${folder}" as ${task}: its run is of ${own}`);
  }
  const options = new Map([...optionsOf(saved), ...optionsOf(args)]);
  const shown = args.has("json") ? ["--json"] : [];
  return parseArguments(TRAIN, [own, ...options.values(), `--resume=${folder}`, ...shown]);
}

/** What a run noted of its command line; undefined where it noted nothing, or something else is there. */
async function readCommand(path: string): Promise<Arguments | undefined> {
  try {
    const saved: unknown = JSON.parse(await Deno.readTextFile(path));
    if (!Array.isArray(saved) || !saved.every((arg) => typeof arg === "string")) return undefined;
    return parseArguments(TRAIN, saved);
  } catch (error) {
    const isDamaged = error instanceof SyntaxError || error instanceof UsageError;
    if (error instanceof Deno.errors.NotFound || isDamaged) return undefined;
    throw error;
  }
}

/** Quoted where a shell would take it for something else. */
function shellWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

async function prepare(name: string, args: Arguments): Promise<Task> {
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
    ...(heldOut === undefined ? {} : { heldOut }),
    ...text("data"),
    ...text("preset"),
    ...text("tokenizer"),
    hyperparameters: {
      ...pick(NUMBERS),
      ...(args.has("carry-state") ? { carryState: true } : {}),
    },
    model: { ...pick(SIZES), ...mixerOf(args.text("mixer")) },
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
  return { ...task, defaults: settings(task.defaults, { hyperparameters }) };
}

function mixerOf(name: string | undefined): Pick<ModelSize, "mixer"> {
  if (name === undefined) return {};
  if (name === "mamba1" || name === "mamba2") return { mixer: name };
  throw new UsageError(`--mixer is "${name}", expected mamba1 or mamba2`);
}

/** Shows steps, notes them in metrics.jsonl, and gives the last one. */
async function follow(
  steps: AsyncIterable<TrainingStep>,
  { task, out, command, json, terminal }: {
    task: Task;
    out: string;
    command: readonly string[];
    json: boolean;
    terminal: Terminal;
  },
): Promise<TrainingStep | undefined> {
  let log: Awaited<ReturnType<typeof openMetrics>> | undefined;
  let last: TrainingStep | undefined;
  let shownAt = -Infinity;
  try {
    for await (const step of steps) {
      if (log === undefined) {
        log = await openMetrics(`${out}/${METRICS_FILE}`, step.step - 1);
        const bytes = new TextEncoder().encode(`${JSON.stringify(command)}\n`);
        await writeFileWhole(`${out}/${COMMAND_FILE}`, bytes);
      }
      const metrics = toMetrics(step);
      log.append(metrics);
      last = step;
      if (json) terminal.write(`${JSON.stringify(metrics)}\n`);
      const evaluated = step.validation !== undefined;
      if (!terminal.rewrites && !evaluated && performance.now() - shownAt < SHOWN_EVERY_MS) {
        continue;
      }
      shownAt = performance.now();
      const line = progressLine({ ...step, steps: task.defaults.steps });
      terminal.writeError(terminal.rewrites ? `\r\x1b[K${line}` : `${line}\n`);
      if (!evaluated) continue;
      if (terminal.rewrites) terminal.writeError("\n");
      terminal.writeError(`${describe(metrics)}\n`);
    }
  } finally {
    log?.[Symbol.dispose]();
    if (terminal.rewrites) terminal.writeError("\n");
  }
  return last;
}

function toMetrics({ validation, test, ...step }: TrainingStep): Metrics {
  return { ...step, ...figures("validation", validation), ...figures("test", test) };
}

function figures(split: string, result: SplitResult | undefined): Record<string, number> {
  if (result === undefined) return {};
  const { loss, accuracy } = result;
  return {
    [`${split}Loss`]: loss,
    ...(accuracy === undefined ? {} : { [`${split}Accuracy`]: accuracy }),
  };
}

/** The evaluation whose model is kept: the first of the lowest loss. */
function bestOf(metrics: readonly Metrics[]): Metrics | undefined {
  const evaluated = metrics.filter(({ validationLoss }) => typeof validationLoss === "number");
  return evaluated.reduce<Metrics | undefined>(
    (best, line) => best === undefined || lossOf(line) < lossOf(best) ? line : best,
    undefined,
  );
}

function lossOf({ validationLoss }: Metrics): number {
  return typeof validationLoss === "number" ? validationLoss : NaN;
}

function describe(metrics: Metrics): string {
  return `step ${metrics.step}: validation ${figure("validation", metrics)}`;
}

/** Such as "loss 0.0895, 97.28% right". */
function figure(split: "validation" | "test", metrics: Metrics): string {
  const loss = metrics[`${split}Loss`], accuracy = metrics[`${split}Accuracy`];
  const right = typeof accuracy === "number" ? `, ${(accuracy * 100).toFixed(2)}% right` : "";
  return `loss ${Number(loss).toFixed(4)}${right}`;
}

async function drawCurve(title: string, out: string, metrics: readonly Metrics[]): Promise<void> {
  const curve = (name: string, key: string) => ({
    name,
    points: metrics.flatMap((line) => {
      const value = line[key];
      return typeof value === "number" ? [[line.step, value] as const] : [];
    }),
  });
  const svg = lossCurve(title, [curve("training", "loss"), curve("validation", "validationLoss")]);
  await Deno.writeTextFile(`${out}/training/loss.svg`, svg);
}
