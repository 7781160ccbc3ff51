/** Timing on a device that has left its idle clocks. */

import type { Gpu } from "../../src/gpu/device.ts";
import { type Program, timePass } from "../../src/gpu/program.ts";

/** A GPU that was idle runs at a fraction of its clock for some tens of milliseconds. */
const WARM_UP_MS = 100;

/** Runs programs until the device is warm, then five times more: the median pass, in microseconds of GPU time. */
export async function warmTime(gpu: Gpu, programs: readonly Program[]): Promise<number> {
  const start = performance.now();
  do await timePass(gpu, programs); while (performance.now() - start < WARM_UP_MS);
  const times: number[] = [];
  for (let run = 0; run < 5; run++) times.push(await timePass(gpu, programs));
  times.sort((a, b) => a - b);
  return times[2] ?? NaN;
}
