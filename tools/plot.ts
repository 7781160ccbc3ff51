// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Draws the plots of docs/plots, each from the measurements beside it:
 *
 *     deno run --allow-read --allow-write tools/plot.ts [loss | speed | cost] [FILE.jsonl]
 *
 *     loss    a run's training/metrics.jsonl: its losses by step
 *     speed   lines of `deno task bench decode --json`, and others' with the same fields: tokens a second by device
 *     cost    lines of `deno task bench length --json`: what a token costs after more and more of them, beside a
 *             transformer with full attention of the same parameters, layers and width, which is not measured but computed: it multiplies and
 *             adds 2 x parameters + 4 x n_layer x d_model x position numbers a token
 *
 * FILE.svg is written beside FILE.jsonl. Without arguments all plots of docs/plots are drawn: speed.jsonl, cost.jsonl, and
 * every other file as a run's losses.
 */

import { type Curve, lossCurve } from "../src/train/run/loss_curve.ts";
import { barChart, type BarGroup } from "./bar_chart.ts";
import { answerHelp } from "./help.ts";

type Line = Readonly<Record<string, unknown>>;

/** The plots by name. */
export const PLOTS: Readonly<Record<string, (lines: readonly Line[], name: string) => string>> = {
  loss: lossPlot,
  speed: speedPlot,
  cost: costPlot,
};

/** What is drawn of a file of docs/plots. */
export function plotOf(name: string, text: string): string {
  const lines: Line[] = text.trim().split("\n").map((line) => JSON.parse(line));
  return (PLOTS[name] ?? lossPlot)(lines, name);
}

function lossPlot(lines: readonly Line[], name: string): string {
  const curve = (legend: string, field: string): Curve => ({
    name: legend,
    points: lines.filter((line) => typeof line[field] === "number")
      .map((line) => [numberIn(line, "step"), numberIn(line, field)] as const),
  });
  return lossCurve(`${name}: loss in nats`, [
    curve("training", "loss"),
    curve("validation", "validationLoss"),
  ]);
}

function speedPlot(lines: readonly Line[]): string {
  const groups = new Map<string, BarGroup["bars"]>();
  for (const line of lines) {
    const title = `${line["shape"]} on ${line["device"]}`;
    const isOther = line["bench"] !== "decode";
    const sessions = numberIn(line, "sessions");
    const name = [
      isOther ? line["bench"] : "Slither",
      ...(line["dtype"] === undefined ? [] : [line["dtype"]]),
      ...(line["steps"] === undefined ? [] : [`--step ${line["steps"]}`]),
      ...(sessions > 1 ? [`${sessions} sessions`] : []),
    ].join(", ");
    const bar = { name, value: numberIn(line, "tokensPerSecond"), isOther };
    groups.set(title, [...groups.get(title) ?? [], bar]);
  }
  return barChart(
    "Tokens a second, each device on a scale of its own",
    "",
    [...groups].map(([title, bars]) => ({ title, bars })),
  );
}

function costPlot(lines: readonly Line[]): string {
  const [first] = lines;
  if (first === undefined) throw new TypeError("Cannot plot: there are no lines");
  const [parameters, n_layer, d_model] = [
    numberIn(first, "parameters"),
    numberIn(first, "n_layer"),
    numberIn(first, "d_model"),
  ];
  const positions = lines.map((line) => numberIn(line, "position"));
  const least = Math.min(...lines.map((line) => numberIn(line, "microsecondsPerToken")));
  const measured = lines.map((line, i) =>
    [positions[i] ?? 0, numberIn(line, "microsecondsPerToken") / least] as const
  );
  const computed = [0, ...positions].map((position) =>
    [position, 1 + 2 * n_layer * d_model * position / parameters] as const
  );
  return lossCurve(
    `The cost of a token, in that of the cheapest: ${first["model"]} on ${first["device"]}`,
    [
      { name: "this model, measured", points: measured },
      { name: "full attention at its size, by formula (not measured)", points: computed },
    ],
    "tokens before it",
  );
}

function numberIn(line: Line, field: string): number {
  const value = line[field];
  if (typeof value !== "number") {
    throw new TypeError(`Cannot plot: ${field} is ${JSON.stringify(value)}, expected a number`);
  }
  return value;
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const [name, path, ...rest] = Deno.args;
  if (
    rest.length > 0 || (name !== undefined && (!Object.hasOwn(PLOTS, name) || path === undefined))
  ) {
    console.error("Usage: tools/plot.ts [loss | speed | cost] [FILE.jsonl]");
    Deno.exit(2);
  }
  const folder = decodeURIComponent(new URL("../docs/plots", import.meta.url).pathname);
  const all = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith(".jsonl")).sort()
    .map((file) => [file.replace(".jsonl", ""), `${folder}/${file}`] as const);
  for (const [plot, file] of name === undefined ? all : [[name, path ?? ""] as const]) {
    const svg = plotOf(plot, await Deno.readTextFile(file));
    await Deno.writeTextFile(file.replace(/\.jsonl$/, ".svg"), svg);
    console.log(file.replace(/\.jsonl$/, ".svg"));
  }
}
