/** Turns of the event loop between long computations, which nothing else of a program can interrupt. */

/** How long other work may have to wait for its turn, in milliseconds, if no single computation takes longer. */
const LONGEST_WAIT_MS = 25;

/** One long call: it computes for a while, and lets timers, signals and other calls run in between. */
export class Turns {
  #since = performance.now();

  /** Resolves at once, or in a later turn of the event loop where the last one is long ago. */
  async take(): Promise<void> {
    if (performance.now() - this.#since < LONGEST_WAIT_MS) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.#since = performance.now();
  }
}
