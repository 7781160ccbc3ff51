/** Timing on a CPU that others may use: medians, and what the CPU calls itself. */

import process from "node:process";
import type { Cpu } from "../../src/cpu/machine/module.ts";

/** How long a benchmark runs at least. */
const MEASURE_MS = 400;

/** Runs `work` once, and again until {@linkcode MEASURE_MS} are over: the median, in milliseconds. */
export async function medianTime(work: () => void): Promise<number> {
  work();
  const times: number[] = [];
  const start = performance.now();
  while (times.length < 5 || performance.now() - start < MEASURE_MS) {
    const before = performance.now();
    work();
    times.push(performance.now() - before);
    // Workers start when the event loop turns.
    await new Promise((resolve) => setTimeout(resolve));
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] ?? NaN;
}

/** The build, and how busy the machine is: figures depend on both. */
export function cpuName(cpu: Cpu): string {
  return `${cpu.build} of ${navigator.hardwareConcurrency} threads, load ${
    Deno.loadavg()[0]?.toFixed(1)
  }`;
}

/** Processor time that all threads of this process have taken, in milliseconds: others do not change it much. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
