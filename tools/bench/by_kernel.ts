/** What each op of a program takes. */

import type { Gpu } from "../../src/gpu/device.ts";
import { profile, type Program } from "../../src/gpu/program.ts";
import { round } from "./result.ts";

/** Microseconds by op, each dispatch in a pass of its own. */
export async function byKernel(
  gpu: Gpu,
  programs: Program[],
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (let run = 0; run < 3; run++) {
    for (const program of programs) {
      for (const { label, microseconds } of await profile(gpu, program)) {
        const op = label.replace(/^layers\.\d+\./, "");
        sums[op] = (sums[op] ?? 0) + (run === 0 ? 0 : microseconds / 2);
      }
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([op, sum]) => [op, round(sum, 1)]));
}
