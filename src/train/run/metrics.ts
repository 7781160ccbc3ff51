/** `metrics.jsonl`: a line of JSON for each thing measured in a run. */

import { writeError } from "../../io/write_error.ts";
import { writeWhole } from "../../io/write_whole.ts";
import type { SplitResult, TrainingStep } from "../training_step.ts";

/** One line: the step it belongs to, and numbers or words by name. Numbers that are not finite become `null`. */
export interface Metrics {
  /** Steps done when it was measured. */
  readonly step: number;
  /** Anything else, such as `loss` or `validationLoss`. */
  readonly [name: string]: number | string | boolean | null;
}

/** A file of metrics, open for appending. */
export interface MetricsLog extends Disposable {
  /** All lines of the file. */
  readonly lines: readonly Metrics[];
  /** Writes a line; it is in the file when this returns. */
  append(metrics: Metrics): void;
}

/** What is noted of a step. */
export function toMetrics({ validation, test, ...step }: TrainingStep): Metrics {
  return { ...step, ...figures("validation", validation), ...figures("test", test) };
}

function figures(split: string, result: SplitResult | undefined): Record<string, number> {
  if (result === undefined) return {};
  const { loss, accuracy, batches } = result;
  return {
    [`${split}Loss`]: loss,
    ...(batches === undefined ? {} : { [`${split}Batches`]: batches }),
    ...(accuracy === undefined ? {} : { [`${split}Accuracy`]: accuracy }),
  };
}

/**
 * Opens a file of metrics, and makes it if need be.
 *
 * What a killed run left behind is put right first: a last line that is cut off is dropped, and so is every line of a step
 * after `step`, which the resumed run measures again. The file then equals that of a run that was never interrupted.
 *
 * @param path The file.
 * @param step Steps done in the checkpoint that the run resumes from; 0 begins the file anew.
 * @returns The log; it holds a file handle until disposed with `using`.
 */
export async function openMetrics(path: string, step: number): Promise<MetricsLog> {
  const lines = step === 0 ? [] : (await readMetrics(path)).filter((line) => line.step <= step);
  await writeWhole(path, lines.map(toLine).join(""));
  const file = await Deno.open(path, { append: true });
  const encoder = new TextEncoder();
  return {
    lines,
    append(metrics) {
      // One write a line: a kill leaves whole lines, and at most one that is cut off at the end.
      const bytes = encoder.encode(toLine(metrics));
      try {
        for (let written = 0; written < bytes.length;) {
          written += file.writeSync(bytes.subarray(written));
        }
      } catch (error) {
        throw writeError(path, path, error);
      }
      lines.push(metrics);
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/**
 * Reads a file of metrics; a file that is not there has none.
 *
 * @param path The file.
 * @returns Its lines in order, up to the first that is cut off or damaged.
 */
export async function readMetrics(path: string): Promise<Metrics[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const metrics: Metrics[] = [];
  // What follows the last line end is a line that was being written.
  for (const line of text.split("\n").slice(0, -1)) {
    const value = parseLine(line);
    if (value === undefined) break;
    metrics.push(value);
  }
  return metrics;
}

function parseLine(line: string): Metrics | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isMetrics(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isMetrics(value: unknown): value is Metrics {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return "step" in value && typeof value.step === "number" &&
    Object.values(value).every((member) => typeof member !== "object" || member === null);
}

function toLine(metrics: Metrics): string {
  return `${JSON.stringify(metrics)}\n`;
}
