/** The training program: `train.ts <task>`. */

import { ConfigError } from "../../model/config/config.ts";
import { type Metrics, readMetrics, toMetrics } from "../../train/run/metrics.ts";
import { progressLine } from "../../train/run/progress_line.ts";
import { RUN_FILES } from "../../train/run/run_files.ts";
import { openRunFolder } from "../../train/run/run_folder.ts";
import { requireBackend, trainingBackend } from "../../train/open_executor.ts";
import { SettingError } from "../../train/setting_error.ts";
import type { Task } from "../../train/task.ts";
import { checkTask, defaultPreset, TASK_PRESETS } from "../../train/tasks/load_task.ts";
import { train, type TrainingDevice } from "../../train/train.ts";
import type { TrainingStep } from "../../train/training_step.ts";
import { type Arguments, parseArguments, UsageError } from "../terminal/arguments.ts";
import { backendSettings } from "../terminal/backend_options.ts";
import { describeError } from "../terminal/describe_error.ts";
import { formatDuration } from "../terminal/format.ts";
import { commandHelp } from "../terminal/help.ts";
import { catchInterrupt, INTERRUPTED } from "../terminal/interrupt.ts";
import { Progress } from "../terminal/progress.ts";
import { asksForVersion, versionLine } from "../terminal/version.ts";
import { processTerminal, type Terminal } from "../terminal/terminal.ts";
import { loadTaskFor, taskOptions, TRAIN } from "./options.ts";
import { askedRun } from "./saved_run.ts";

/** Time between two lines of progress where a line cannot be written over. */
const SHOWN_EVERY_MS = 10_000;

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
    if (asksForVersion(args)) {
      terminal.write(versionLine());
      return 0;
    }
    return await run(parseArguments(TRAIN, args), terminal);
  } catch (error) {
    terminal.writeError(`${describeError(error, "train")}\n`);
    // The only config here is what the options make: what is wrong with it is a wrong value.
    const isUsage = [UsageError, SettingError, ConfigError].some((kind) => error instanceof kind);
    return isUsage ? 2 : 1;
  }
}

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const { task: name, out, saved } = await askedRun(args);
  const backend = backendSettings(args);
  const mode = { resume: saved !== undefined, overwrite: args.has("overwrite") };
  const options = taskOptions(args, saved);
  // What can be refused before data is read, or downloaded, is.
  checkTask(name, options);
  (await openRunFolder(out, mode))[Symbol.dispose]();
  await requireBackend(backend);
  const suited = saved === undefined && options.preset === undefined
    ? defaultPreset(name, await trainingBackend(backend))
    : undefined;
  const preset = suited === undefined ? {} : { preset: suited };
  const task = await loadTaskFor(name, args, { ...options, ...preset });
  const { defaults, config } = task;
  terminal.writeError(`Task: ${[name, describePreset(task, suited), task.summary].join(", ")}\n`);
  for (const note of task.notes ?? []) terminal.writeError(`Note: ${note}\n`);
  terminal.writeError(`Model: ${JSON.stringify(config)}\n`);
  terminal.writeError(`Settings: ${JSON.stringify(defaults)}\n`);
  terminal.writeError(`Checkpoint: ${out}${mode.overwrite ? ", in place of a run there" : ""}\n`);

  using interrupt = catchInterrupt();
  const { signal } = interrupt;
  const onEvaluation = evaluationLine(terminal);
  const before = mode.resume ? await readMetrics(`${out}/${RUN_FILES.metrics}`) : [];
  const onDevice = (device: TrainingDevice) => terminal.writeError(describeDevice(device));
  const steps = train(task, { out, ...mode, ...backend, signal, onDevice, onEvaluation });
  const own = await follow(steps, { task, args, terminal });
  const last = own.at(-1);
  if (last === undefined && !signal.aborted) {
    terminal.writeError("The run has ended before: give more --steps, or more --patience\n");
  } else if (last !== undefined && last.step < defaults.steps && !signal.aborted) {
    terminal.writeError(`No better loss in ${defaults.patience} evaluations: stopped\n`);
  }
  // The file may be another run's by now.
  const first = own[0]?.step ?? Infinity;
  const metrics = [...before.filter(({ step }) => step < first), ...own];
  const best = bestOf(metrics);
  if (best !== undefined && !args.has("json")) {
    terminal.write(`Best: ${describe(best)}\n`);
    const tested = metrics.at(-1);
    if (tested?.testLoss !== undefined) terminal.write(`Test: ${figure("test", tested)}\n`);
    if (last !== undefined && !signal.aborted) {
      const use = config.head.kind === "lm" ? ["generate", out] : ["classify", out, "FILE"];
      terminal.writeError(`Use it: deno task infer ${use.map(shellWord).join(" ")}\n`);
    }
  }
  // Ctrl-C in the last evaluation finds nothing left to do after it.
  if (!signal.aborted || last?.step === defaults.steps) return 0;
  const resumed = [name, "--resume", out].map(shellWord).join(" ");
  terminal.writeError(`Stopped. Go on with: deno task train ${resumed}\n`);
  return INTERRUPTED;
}

/** Which preset it is, and why where nobody chose. */
function describePreset({ name, options }: Task, suited: string | undefined): string {
  const [first] = TASK_PRESETS.get(name) ?? [];
  const preset = options?.preset ?? first?.name;
  return suited === undefined || suited === first?.name
    ? `preset ${preset}`
    : `preset ${preset}, as it is trained on the CPU (--preset ${first?.name} is larger)`;
}

/** What trains the model, and what to expect of it, in one line; a second one where there is something to know. */
function describeDevice({ backend, device, note, warning, ...rest }: TrainingDevice): string {
  const { expectedStepMs } = rest;
  const what = note === undefined ? device : `${device}, ${note}`;
  const expected = [
    ...(expectedStepMs === undefined ? [] : [`about ${describeTime(expectedStepMs)} a step`]),
    ...(backend === "webgpu" ? ["the first step compiles kernels"] : []),
  ];
  return `Device: ${[what, ...expected].join("; ")}\n` +
    (warning === undefined ? "" : `Note: ${warning}\n`);
}

function describeTime(ms: number): string {
  return ms < 1000 ? `${Math.ceil(ms)} ms` : formatDuration(ms);
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

/** Quoted where a shell would take it for something else. */
function shellWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Shows steps, and gives what was measured. */
async function follow(
  steps: AsyncIterable<TrainingStep>,
  { task, args, terminal }: { task: Task; args: Arguments; terminal: Terminal },
): Promise<Metrics[]> {
  const all: Metrics[] = [];
  let shownAt = -Infinity;
  try {
    for await (const step of steps) {
      const metrics = toMetrics(step);
      all.push(metrics);
      if (args.has("json")) terminal.write(`${JSON.stringify(metrics)}\n`);
      const isEvaluated = step.validation !== undefined;
      if (!terminal.rewrites && !isEvaluated && performance.now() - shownAt < SHOWN_EVERY_MS) {
        continue;
      }
      shownAt = performance.now();
      // The first step waits for its kernels to be compiled: it says nothing of those to come.
      const stepMs = all.length === 1 ? undefined : step.stepMs;
      const line = progressLine({ ...step, stepMs, steps: task.defaults.steps });
      terminal.writeError(terminal.rewrites ? `\r\x1b[K${line}` : `${line}\n`);
      if (step.validation === undefined) continue;
      if (terminal.rewrites) terminal.writeError("\n");
      const { batchesPerEpoch } = task.validation;
      const part = step.validation.batches === undefined
        ? ""
        : `, by ${step.validation.batches} of ${
          Math.ceil(batchesPerEpoch)
        } batches (--eval-batches)`;
      terminal.writeError(`${describe(metrics)}${part}\n`);
    }
  } finally {
    if (terminal.rewrites) terminal.writeError("\n");
  }
  return all;
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
