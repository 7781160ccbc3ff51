/** What runs of `bench all` leave: one run a device, which the next one there is compared with. */

import { writeWhole } from "../../src/io/write_whole.ts";
import { round } from "./result.ts";
import { isTime, type Row } from "./rows.ts";

/** Figures by the names of their rows, and where they come from. */
export interface Run {
  readonly device: string;
  readonly deno: string;
  readonly date: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** The runs of a file: none where there is no such file. */
export async function readRuns(path: string | URL): Promise<Run[]> {
  try {
    const { runs } = JSON.parse(await Deno.readTextFile(path)) as { runs: Run[] };
    return runs;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Puts a run into a file, in place of the one of the same device. */
export async function saveRun(path: string, run: Run): Promise<void> {
  const others = (await readRuns(path)).filter(({ device }) => device !== run.device);
  const runs = [...others, run].sort((a, b) => a.device < b.device ? -1 : 1);
  await writeWhole(path, `${JSON.stringify({ runs }, undefined, 2)}\n`);
}

/** How many times as good as before a figure is: above 1 is better, whatever its unit. */
export function ratioOf(row: Pick<Row, "figure">, value: number, before: number): number {
  return round(isTime(row) ? before / value : value / before, 3);
}
