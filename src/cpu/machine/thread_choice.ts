/** How many threads a step runs on: as many as help, found by timing them. */

import type { Cpu } from "./module.ts";

/** Runs on each number of threads before one is chosen; the first of each only warms the caches. */
const TRIALS = 6;

/** What a larger number of threads must save of the time, as its others are then kept from everybody else. */
const MIN_GAIN = 0.05;

/** When to try again, as others come and go on a machine, in milliseconds. */
const KEEP_MS = 5000;

/** Times runs of the same work on one thread and on more, in turns, and then keeps to what was fastest. */
export class ThreadChoice {
  readonly #cpu: Pick<Cpu, "maxThreads" | "setThreads">;
  readonly #now: () => number;
  /** Numbers of threads to try, ascending. */
  readonly #counts: readonly number[];
  /** Times of a step by number of threads, of the trials under way. */
  readonly #times = new Map<number, number[]>();
  #trial = 0;
  #keepUntil = 0;

  /** @param now A clock in milliseconds. */
  constructor(cpu: Pick<Cpu, "maxThreads" | "setThreads">, now = () => performance.now()) {
    this.#cpu = cpu;
    this.#now = now;
    const counts = [];
    for (let count = 1; count < cpu.maxThreads; count *= 2) counts.push(count);
    this.#counts = [...counts, cpu.maxThreads];
  }

  /** Runs `steps` steps of work, on as many threads as are to be tried or were chosen. */
  run(steps: number, work: () => void): void {
    const { length } = this.#counts;
    if (length === 1 || this.#now() < this.#keepUntil) {
      work();
      return;
    }
    const threads = this.#counts[this.#trial % length] ?? 1;
    this.#cpu.setThreads(threads);
    const start = this.#now();
    work();
    const elapsedMs = (this.#now() - start) / steps;
    if (this.#trial >= length) {
      this.#times.set(threads, [...this.#times.get(threads) ?? [], elapsedMs]);
    }
    this.#trial++;
    if (this.#trial === TRIALS * length) this.#choose();
  }

  #choose(): void {
    let [chosen, least] = [1, Infinity];
    for (const [threads, times] of this.#times) {
      // The median: the least would be that of a lucky moment, the mean that of an interruption.
      const elapsedMs = times.sort((a, b) => a - b)[times.length >> 1] ?? Infinity;
      if (elapsedMs < least * (1 - MIN_GAIN)) [chosen, least] = [threads, elapsedMs];
    }
    this.#cpu.setThreads(chosen);
    this.#times.clear();
    this.#trial = 0;
    this.#keepUntil = this.#now() + KEEP_MS;
  }
}
