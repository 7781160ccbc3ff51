/** What `bench all` measures: each row is one figure of one benchmark. */

import { decode } from "./decode.ts";
import { prefill } from "./prefill.ts";
import type { Result } from "./result.ts";
import { serve } from "./serve.ts";
import { shipped } from "./shipped.ts";
import { train } from "./train.ts";

/** Names of figures in results, with their units in words. */
export const UNITS = {
  tokensPerSecond: "tokens/s",
  pixelsPerSecond: "pixels/s",
  milliseconds: "ms",
  millisecondsPerStep: "ms a step",
  worstTimerGapMs: "ms",
} as const;

/** A benchmark to run, and its figure by the unit that it has here. */
export interface Row {
  readonly name: string;
  readonly run: (args: string[]) => AsyncIterable<Result>;
  readonly args: readonly string[];
  /** The figure's name in each result. */
  readonly figure: keyof typeof UNITS;
  /** Which of the results it is in; default the first. */
  readonly index?: number;
  /** Where it can be measured; default everywhere. */
  readonly on?: "gpu" | "cpu";
  /** What PyTorch with the official `mamba_ssm` and CUDA graphs took for the same on an H100. */
  readonly official?: number;
}

/** Whether less of the row's figure is better. */
export function isTime({ figure }: Pick<Row, "figure">): boolean {
  return UNITS[figure].startsWith("ms");
}

function decodeRow(what: string, args: readonly string[], official?: number): Row {
  return {
    name: `decode ${what}`,
    ...{ run: decode, args: ["--shape", ...args], figure: "tokensPerSecond", on: "gpu" },
    ...(official === undefined ? {} : { official }),
  };
}

function trainRow(row: string, on: "gpu" | "cpu", official?: number): Row {
  const args = on === "cpu" ? ["--backend", "cpu", "--row", row, "--steps", "10"] : ["--row", row];
  return {
    ...{ name: `train ${row}`, run: train, args, figure: "millisecondsPerStep", on },
    ...(official === undefined ? {} : { official }),
  };
}

/** One run of `bench serve` gives the rows of all numbers of clients. */
const CLIENTS = ["1", "8", "16", "64"];

function serveRows(): Row[] {
  const args = ["--clients", CLIENTS.join()];
  const rows = CLIENTS.map((clients, index): Row => ({
    name: `serve weights/shakespeare, ${clients} ${clients === "1" ? "client" : "clients"}`,
    ...{ run: serve, args, figure: "tokensPerSecond", index },
  }));
  const gap: Row = {
    name: "worst gap of a 5 ms timer beside 8 clients",
    ...{ run: serve, args, figure: "worstTimerGapMs", index: CLIENTS.indexOf("8") },
  };
  return [...rows, gap];
}

/**
 * In the order in which they are measured and shown. Clients come first: in a process that had models of gigabytes before,
 * 16 of them were served 17,000 tokens/s in place of 29,000 to 40,000 (H200), and nobody serves in one.
 */
export const ROWS: readonly Row[] = [
  ...serveRows(),
  { name: "weights/shakespeare", run: shipped, args: [], figure: "tokensPerSecond" },
  {
    name: "weights/mnist, pixel by pixel",
    ...{ run: shipped, args: [], figure: "pixelsPerSecond", index: 1 },
  },
  {
    name: "weights/mnist, a whole image",
    ...{ run: shipped, args: [], figure: "milliseconds", index: 2 },
  },
  decodeRow("mamba-130m f16", ["mamba-130m"], 1398),
  decodeRow("mamba-130m f16, fused step", ["mamba-130m", "--step", "fused"], 1398),
  decodeRow("mamba-370m f16", ["mamba-370m"], 671),
  decodeRow("mamba-370m f16, fused step", ["mamba-370m", "--step", "fused"], 671),
  decodeRow("mamba-2.8b f16", ["mamba-2.8b"], 279),
  decodeRow("mamba-2.8b int8", ["mamba-2.8b", "--dtype", "int8"]),
  decodeRow("mamba-2.8b int4", ["mamba-2.8b", "--dtype", "int4"]),
  decodeRow("mamba2-130m f16", ["mamba2-130m"], 2139),
  decodeRow("mamba2-130m f16, fused step", ["mamba2-130m", "--step", "fused"], 2139),
  decodeRow("mamba2-2.7b f16", ["mamba2-2.7b"], 213),
  decodeRow("mamba3-siso-187m f16", ["mamba3-siso-187m"]),
  decodeRow("mamba-130m f16, 8 sessions", ["mamba-130m", "--sessions", "8"]),
  decodeRow("mamba-130m f16, 64 sessions", ["mamba-130m", "--sessions", "64"], 76247),
  decodeRow(
    "mamba-2.8b f16, 64 sessions",
    ["mamba-2.8b", "--sessions", "64", "--tokens", "64"],
    12532,
  ),
  ...([["512", 27600], ["2048", 53700]] as const).map(([tokens, official]): Row => ({
    name: `prefill mamba-130m f16, ${tokens} tokens`,
    ...{ run: prefill, args: ["--tokens", tokens], figure: "tokensPerSecond", on: "gpu", official },
  })),
  trainRow("text", "gpu", 29.8),
  trainRow("pixels", "gpu", 13.8),
  trainRow("patches", "gpu", 27.5),
  trainRow("narrow", "cpu"),
  trainRow("wide", "cpu"),
];
