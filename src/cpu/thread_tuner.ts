/** How many threads a kind of work is worth: found by timing, as it depends on the model and on what else runs. */

import type { Cpu } from "./module.ts";

/** Threads that are started where nobody says: more read weights no faster than these on the machines there are. */
const MOST_THREADS = 8;

/** Samples of each number of threads: their median is what counts, as others may use the machine. */
const ROUNDS = 5;

/** A sample takes this long at least, so that waking threads up is little of it. */
const SAMPLE_MS = 2;

/** More threads must be faster by this, or they are left to others. */
const LEAST_GAIN = 1.05;

/** How long a choice holds, in milliseconds. */
const HOLDS_MS = 10_000;

/** Workers take about 40 ms until they are there; what is timed before says nothing. */
const WARM_UP_MS = 150;

/** Threads to start where nobody says how many: one a core, where there can be workers. */
export function defaultThreads(): number {
  if (typeof Worker === "undefined") return 1;
  return Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
}

/** Times work on 1, 2, 4, ... threads in turns, and then has it done by as many as were fastest. No result depends on it. */
export class ThreadTuner {
  readonly #cpu: Cpu;
  /** Numbers of threads, the fewest first. */
  readonly #candidates: readonly number[];
  /** Milliseconds a step, of each candidate. */
  #samples: number[][] = [];
  #sampleMs = 0;
  #sampleSteps = 0;
  #taken = 0;
  /** What was fastest. */
  #best: number;
  /** When the next samples are taken. */
  #due = performance.now() + WARM_UP_MS;

  /** It chooses among the threads that the CPU was opened with. */
  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    const most = cpu.maxThreads;
    this.#best = most;
    const powers = Array.from({ length: 16 }, (_, exponent) => 2 ** exponent);
    this.#candidates = [...powers.filter((threads) => threads < most), most];
  }

  /** Does `work`, which is that many steps of the same kind. */
  run(steps: number, work: () => void): void {
    const start = performance.now();
    if (this.#candidates.length === 1 || start < this.#due) {
      this.#use(this.#best);
      return work();
    }
    const candidate = this.#taken % this.#candidates.length;
    this.#use(this.#candidates[candidate] ?? 1);
    work();
    this.#sampleMs += performance.now() - start;
    this.#sampleSteps += steps;
    if (this.#sampleMs < SAMPLE_MS) return;
    (this.#samples[candidate] ??= []).push(this.#sampleMs / this.#sampleSteps);
    this.#sampleMs = this.#sampleSteps = 0;
    this.#taken += 1;
    if (this.#taken === ROUNDS * this.#candidates.length) this.#choose();
  }

  #use(threads: number): void {
    if (this.#cpu.threads !== threads) this.#cpu.setThreads(threads);
  }

  #choose(): void {
    let [best = 1] = this.#candidates;
    let bestMs = Infinity;
    for (const [index, threads] of this.#candidates.entries()) {
      const ms = median(this.#samples[index] ?? []);
      if (ms * LEAST_GAIN > bestMs) continue;
      [best, bestMs] = [threads, ms];
    }
    this.#best = best;
    this.#samples = [];
    this.#taken = 0;
    this.#due = performance.now() + HOLDS_MS;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Infinity;
}
