/**
 * `bench all`: the figures of docs/figures.md on this device, each beside the baseline's. What the device cannot run is
 * left out by name. It ends with status 1 if a figure got worse, or is no longer there.
 *
 * --only       some of the rows, by the beginnings of their names, such as "decode mamba-130m;prefill"
 * --seconds    leave out the rows that have not begun by then
 * --baseline   another baseline than tools/bench/baseline.json; "none" for none
 * --tolerance  the share of the baseline's by which a figure may be worse (default 0.15)
 * --save       a file to put this run in, for the next one to be compared with; tools/figures.ts makes the table of it
 *
 * A ratio above 1 is better than the baseline, whatever the figure's unit.
 */

import { parseArgs } from "@std/cli/parse-args";
import { chooseBackend } from "../../src/model/choose_backend.ts";
import { ratioOf, readRuns, type Run, saveRun } from "./baseline.ts";
import type { Result } from "./result.ts";
import { round } from "./result.ts";
import { type Row, ROWS } from "./rows.ts";

const BASELINE = new URL("baseline.json", import.meta.url);

/** A benchmark that refuses to time what it found wrong says so with these words. */
const WRONG = /^Cannot time/;

/** What came of a row: a figure, or why there is none. */
interface Measured {
  readonly row: Row;
  readonly device: string;
  readonly value?: number;
  readonly seconds?: number;
  readonly leftOut?: string;
}

/** Runs the benchmarks. */
export async function* all(
  args: string[],
  rows: readonly Row[] = ROWS,
): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["only", "seconds", "baseline", "tolerance", "save"],
    default: { tolerance: "0.15", seconds: "Infinity" },
  });
  const chosen = chooseRows(rows, options.only);
  const runs = options.baseline === "none" ? [] : await readRuns(options.baseline ?? BASELINE);
  const least = 1 - Number(options.tolerance);
  const figures: Record<string, number> = {};
  const worse: string[] = [];
  const leftOut: string[] = [];
  let device = "";
  for await (const measured of measure(chosen, Number(options.seconds))) {
    const { row, value, seconds } = measured;
    device ||= measured.device;
    const line = { bench: "all", device: measured.device, row: row.name };
    const before = runs.find((run) => run.device === device)?.figures[row.name];
    if (value === undefined) {
      const reason = measured.leftOut ?? "";
      leftOut.push(row.name);
      if (before !== undefined || WRONG.test(reason)) worse.push(row.name);
      yield { ...line, leftOut: reason };
      continue;
    }
    figures[row.name] = value;
    const ratio = before === undefined ? undefined : ratioOf(row, value, before);
    if (ratio !== undefined && ratio < least) worse.push(row.name);
    yield {
      ...{ ...line, [row.figure]: value },
      ...(seconds === undefined ? {} : { seconds }),
      ...(ratio === undefined ? {} : { before, ratio }),
    };
  }
  if (options.save !== undefined) await saveRun(options.save, runOf(device, figures));
  if (worse.length > 0) Deno.exitCode = 1;
  yield { bench: "all", device, rows: chosen.length, leftOut, worse };
}

function chooseRows(rows: readonly Row[], only: string | undefined): Row[] {
  const beginnings = only?.split(";");
  const chosen = rows.filter(({ name }) =>
    beginnings === undefined || beginnings.some((each) => name.startsWith(each))
  );
  if (chosen.length > 0) return chosen;
  throw new SyntaxError(
    `Cannot run "${only}": the rows are ${rows.map(({ name }) => name).join("; ")}`,
  );
}

function runOf(device: string, figures: Run["figures"]): Run {
  const date = new Date().toISOString().slice(0, 10);
  return { device, deno: Deno.version.deno, date, figures };
}

/** Runs each benchmark once, though several rows may take a figure from it. */
async function* measure(rows: readonly Row[], seconds: number): AsyncGenerator<Measured> {
  const { backend, reason } = await chooseBackend();
  const start = performance.now();
  const done = new Map<string, Result[] | string>();
  for (const row of rows) {
    const leftOut = (why: string): Measured => ({ row, device: "none", leftOut: why });
    if (row.on === "gpu" && backend !== "webgpu") {
      yield leftOut(`it needs a GPU, and ${reason}`);
      continue;
    }
    if (row.on === "cpu" && backend !== "cpu") {
      yield leftOut(`it is for machines without a GPU, and ${reason}`);
      continue;
    }
    const key = `${row.run.name} ${row.args.join(" ")}`;
    let results = done.get(key);
    const began = performance.now();
    const isNew = results === undefined;
    if (results === undefined) {
      if (began - start >= 1000 * seconds) {
        yield leftOut(`${round((began - start) / 1000, 0)} s had passed, of ${seconds}`);
        continue;
      }
      results = await tryRun(row);
      done.set(key, results);
    }
    if (typeof results === "string") {
      yield leftOut(results);
      continue;
    }
    const result = results[row.index ?? 0];
    const value = result?.[row.figure];
    if (result === undefined || typeof value !== "number") {
      throw new TypeError(`Cannot read ${row.figure} of "${row.name}": found ${value}`);
    }
    const elapsed = round((performance.now() - began) / 1000, 1);
    yield { row, value, device: result.device, ...(isNew ? { seconds: elapsed } : {}) };
  }
}

/** A benchmark's results, or the message of what ended it: others go on. */
async function tryRun({ run, args }: Row): Promise<Result[] | string> {
  try {
    return await Array.fromAsync(run([...args]));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
