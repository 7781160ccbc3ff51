// deno-lint-ignore-file no-console -- a program, whose output this is
/**
 * `deno task bench <name> [options]`: benchmarks, a JSON line a result with --json, else readable.
 *
 * Their names: all, browser, cpu_matmul, cpu_matvec, cpu_ops, cpu_train, decode, length, matmul, matvec, prefill, serve,
 * shipped, ssd, step, stream and train. `deno task bench <name> --help` shows a benchmark's options.
 */

import { answerHelp } from "../help.ts";
import { all } from "./all.ts";
import { cpuMatmul } from "./cpu_matmul.ts";
import { cpuMatvec } from "./cpu_matvec.ts";
import { cpuOps } from "./cpu_ops.ts";
import { cpuTrain } from "./cpu_train.ts";
import { decode } from "./decode.ts";
import { length } from "./length.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { prefill } from "./prefill.ts";
import type { Result } from "./result.ts";
import { serve } from "./serve.ts";
import { shipped } from "./shipped.ts";
import { ssd } from "./ssd.ts";
import { step } from "./step.ts";
import { stream } from "./stream.ts";
import { train } from "./train.ts";

const BENCHMARKS: Readonly<Record<string, (args: string[]) => AsyncIterable<Result>>> = {
  all,
  async *browser(args) {
    // Only here is a browser's driver needed.
    const { browser } = await import("./browser.ts");
    yield* browser(args);
  },
  cpu_matmul: cpuMatmul,
  cpu_matvec: cpuMatvec,
  cpu_ops: cpuOps,
  cpu_train: cpuTrain,
  decode,
  length,
  matmul,
  matvec,
  prefill,
  serve,
  shipped,
  ssd,
  step,
  stream,
  train,
};

const [name = "", ...args] = Deno.args;
const benchmark = BENCHMARKS[name];
answerHelp(new URL(benchmark === undefined ? "main.ts" : `${name}.ts`, import.meta.url));
if (benchmark === undefined) {
  console.error(
    `Usage: deno task bench <${Object.keys(BENCHMARKS).join(" | ")}> [--json] [options]`,
  );
  Deno.exit(2);
}
for await (const result of benchmark(args.filter((arg) => arg !== "--json"))) {
  if (args.includes("--json")) console.log(JSON.stringify(result));
  else {for (const [key, value] of Object.entries(result)) {
      console.log(key.padEnd(28), typeof value === "string" ? value : JSON.stringify(value));
    }}
}
