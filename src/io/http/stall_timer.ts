/** Ends a request on which nothing moves. */
export class StallTimer implements Disposable {
  readonly #ms: number;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Starts the clock. */
  constructor(ms: number) {
    this.#ms = ms;
    this.restart();
  }

  /** Aborted when the time is over. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something moved, or is asked for: the time begins anew. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#ms);
  }

  /** Stops the clock. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
