/**
 * `bench all`: the figures of docs/figures.md on this device, each beside the baseline's, and the table that they make.
 *
 * --only       some of the rows, by the beginnings of their names, such as "decode mamba-130m,prefill"
 * --baseline   another baseline than tools/bench/baseline.json; "none" for none
 * --save       write what was measured there, for the next run to be compared with
 * --table      print it as a table in Markdown instead
 *
 * A ratio above 1 is better than the baseline, whatever the figure's unit.
 */

import { parseArgs } from "@std/cli/parse-args";
import { writeWhole } from "../../src/io/write_whole.ts";
import { decode } from "./decode.ts";
import { prefill } from "./prefill.ts";
import { type Result, round } from "./result.ts";
import { shipped } from "./shipped.ts";
import { train } from "./train.ts";

const BASELINE = new URL("baseline.json", import.meta.url);

type Benchmark = (args: string[]) => AsyncIterable<Result>;

/** A benchmark to run, and its figure by the unit that it has here. */
interface Row {
  readonly name: string;
  readonly run: Benchmark;
  readonly args: readonly string[];
  /** The figure's name in each result, and whether less of it is better. */
  readonly figure: "tokensPerSecond" | "pixelsPerSecond" | "milliseconds" | "millisecondsPerStep";
  /** Which of the results it is in; default the first. */
  readonly index?: number;
}

const SHAPES = ["mamba-130m", "mamba-370m", "mamba-2.8b", "mamba2-130m", "mamba2-2.7b"];

const ROWS: readonly Row[] = [
  ...SHAPES.map((shape) => decodeRow(shape)),
  ...["int8", "int4"].map((dtype) => decodeRow("mamba-2.8b", ["--dtype", dtype])),
  ...["8", "64"].map((batch) => decodeRow("mamba-130m", ["--batch", batch])),
  decodeRow("mamba-2.8b", ["--batch", "64"]),
  ...["512", "2048"].map((tokens): Row => ({
    name: `prefill mamba-130m ${tokens} tokens`,
    run: prefill,
    args: ["--tokens", tokens],
    figure: "tokensPerSecond",
  })),
  ...["text", "pixels", "patches"].map((row): Row => ({
    name: `train ${row}`,
    run: train,
    args: ["--row", row],
    figure: "millisecondsPerStep",
  })),
  { name: "weights/shakespeare", run: shipped, args: [], figure: "tokensPerSecond" },
  ...[
    { name: "weights/mnist pixel by pixel", figure: "pixelsPerSecond", index: 1 } as const,
    { name: "weights/mnist a whole image", figure: "milliseconds", index: 2 } as const,
  ].map((row) => ({ ...row, run: shipped, args: [] })),
];

function decodeRow(shape: string, args: readonly string[] = []): Row {
  const [, value] = args;
  const what = args[0] === "--batch" ? `${value} sequences` : value ?? "f16";
  return {
    name: `decode ${shape} ${what}`,
    run: decode,
    args: ["--shape", shape, ...args],
    figure: "tokensPerSecond",
  };
}

/** What a run leaves for the next one. */
interface Baseline {
  readonly device: string;
  readonly deno: string;
  readonly date: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** Runs the benchmarks. */
export async function* all(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["only", "baseline", "save"],
    boolean: ["table"],
  });
  const only: string[] | undefined = options.only?.split(",");
  const rows = ROWS.filter(({ name }) =>
    only === undefined || only.some((each) => name.startsWith(each))
  );
  if (rows.length === 0) {
    throw new SyntaxError(
      `Cannot run "${options.only}": the rows are ${ROWS.map(({ name }) => name).join("; ")}`,
    );
  }
  const baseline = await readBaseline(options.baseline ?? BASELINE);
  const figures: Record<string, number> = {};
  let device = "";
  for await (const { row, value, ...measured } of measure(rows)) {
    device = measured.device;
    figures[row.name] = value;
    const before = baseline?.device === device ? baseline.figures[row.name] : undefined;
    const ratio = before === undefined ? undefined : ratioOf(row, value, before);
    const result = { bench: "all", device, row: row.name, [row.figure]: value };
    if (!options.table) yield { ...result, ...(ratio === undefined ? {} : { before, ratio }) };
  }
  const today: Baseline = {
    ...{ device, deno: Deno.version.deno },
    date: new Date().toISOString().slice(0, 10),
    figures,
  };
  if (options.save !== undefined) {
    await writeWhole(options.save, `${JSON.stringify(today, undefined, 2)}\n`);
  }
  if (options.table) yield { bench: "all", device, table: tableOf(today, rows) };
}

/** Runs each benchmark once, though several rows may take a figure from it. */
async function* measure(
  rows: readonly Row[],
): AsyncGenerator<{ row: Row; value: number; device: string }> {
  const done = new Map<string, Result[]>();
  for (const row of rows) {
    const key = `${row.run.name} ${row.args.join(" ")}`;
    let results = done.get(key);
    if (results === undefined) {
      results = await Array.fromAsync(row.run([...row.args]));
      done.set(key, results);
    }
    const result = results[row.index ?? 0];
    const value = result?.[row.figure];
    if (result === undefined || typeof value !== "number") {
      throw new TypeError(`Cannot read ${row.figure} of "${row.name}": found ${value}`);
    }
    yield { row, value, device: result.device };
  }
}

async function readBaseline(path: string | URL): Promise<Baseline | undefined> {
  if (path === "none") return undefined;
  return JSON.parse(await Deno.readTextFile(path)) as Baseline;
}

function ratioOf({ figure }: Row, value: number, before: number): number {
  return round(figure.startsWith("milliseconds") ? before / value : value / before, 3);
}

const UNITS: Readonly<Record<Row["figure"], string>> = {
  tokensPerSecond: "tokens/s",
  pixelsPerSecond: "pixels/s",
  milliseconds: "ms",
  millisecondsPerStep: "ms a step",
};

/** What docs/figures.md shows. */
function tableOf({ device, deno, date, figures }: Baseline, rows: readonly Row[]): string {
  const lines = rows.map(({ name, figure }) => {
    return `| ${name} | ${(figures[name] ?? NaN).toLocaleString("en-US")} ${UNITS[figure]} |`;
  });
  return [`| ${device}, Deno ${deno}, ${date} | |`, "| --- | --- |", ...lines].join("\n");
}
