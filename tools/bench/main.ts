/** `deno task bench <name> [options]`: benchmarks, one JSON line a result with --json. */

import { decode } from "./decode.ts";
import { matvec } from "./matvec.ts";
import { prefill } from "./prefill.ts";

const BENCHMARKS: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  decode,
  matvec,
  prefill,
};

const [name = "", ...args] = Deno.args;
const benchmark = BENCHMARKS[name];
if (benchmark === undefined) {
  console.error(
    `Usage: deno task bench <${Object.keys(BENCHMARKS).join(" | ")}> [--json] [options]`,
  );
  Deno.exit(2);
}
await benchmark(args);
