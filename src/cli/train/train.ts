/** The training program: `train.ts <task>`. */

import { lossCurve } from "../../train/loss_curve.ts";
import { type Metrics, openMetrics, readMetrics } from "../../train/metrics.ts";
import { progressLine } from "../../train/progress_line.ts";
import type { Task } from "../../train/task.ts";
import { type SplitResult, train, type TrainingStep } from "../../train/train.ts";
import { type Arguments, UsageError } from "../terminal/arguments.ts";
import { describeError } from "../terminal/describe_error.ts";
import { commandHelp } from "../terminal/help.ts";
import { catchInterrupt, INTERRUPTED } from "../terminal/interrupt.ts";
import { Progress } from "../terminal/progress.ts";
import { holdsRun, saveCommand, withSavedCommand } from "./saved_command.ts";
import { processTerminal, type Terminal } from "../terminal/terminal.ts";
import { loadTaskFor, TRAIN } from "./options.ts";
import { describeTrainingDevice } from "./training_device.ts";

/** Measurements of all steps, in the run's folder. */
const METRICS_FILE = "training/metrics.jsonl";

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
  const device = await describeTrainingDevice();
  const task = await loadTaskFor(name, args);
  const { defaults, config } = task;
  terminal.writeError(`Device: ${device}\n`);
  terminal.writeError(`Task: ${name}, ${task.summary}\n`);
  terminal.writeError(`Model: ${JSON.stringify(config)}\n`);
  terminal.writeError(`Settings: ${JSON.stringify(defaults)}\n`);
  const replaced = resume === undefined && await holdsRun(out);
  terminal.writeError(`Checkpoint: ${out}${replaced ? ", in place of the run there" : ""}\n`);

  using interrupt = catchInterrupt();
  const { signal } = interrupt;
  const onEvaluation = evaluationLine(terminal);
  const steps = train(task, { out, resume: resume !== undefined, signal, onEvaluation });
  const last = await follow(steps, { name, task, out, args, terminal });
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

/** Shows steps, notes them in metrics.jsonl, and gives the last one. */
async function follow(
  steps: AsyncIterable<TrainingStep>,
  { name, task, out, args, terminal }: {
    name: string;
    task: Task;
    out: string;
    args: Arguments;
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
        await saveCommand(out, name, args);
      }
      const metrics = toMetrics(step);
      log.append(metrics);
      last = step;
      if (args.has("json")) terminal.write(`${JSON.stringify(metrics)}\n`);
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
