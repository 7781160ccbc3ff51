/** How long a model or a session may be used: disposing is safe at any moment, whatever is under way. */

/** One call, for as long as it takes. */
export class Call {
  readonly #action: string;
  readonly #lifetime: Lifetime;
  readonly #signal: AbortSignal | undefined;

  /** One that {@linkcode Lifetime.call} does not count: only its end is of interest. */
  constructor(action: string, lifetime: Lifetime, signal: AbortSignal | undefined) {
    this.#action = action;
    this.#lifetime = lifetime;
    this.#signal = signal;
  }

  /**
   * Ends the call where nobody wants it any more; it is looked at wherever something else had its turn.
   *
   * @throws {TypeError} If the session or the model is disposed.
   * @throws The signal's reason.
   */
  check(): void {
    this.#lifetime.require(this.#action);
    this.#signal?.throwIfAborted();
  }

  /**
   * Is told once when {@linkcode Call.check} begins to throw.
   *
   * @returns What ends the listening.
   */
  onEnd(listener: () => void): () => void {
    const signals = [
      ...this.#lifetime.signals(),
      ...this.#signal === undefined ? [] : [this.#signal],
    ];
    for (const signal of signals) signal.addEventListener("abort", listener, { once: true });
    return () => {
      for (const signal of signals) signal.removeEventListener("abort", listener);
    };
  }
}

/** What an open call is to its lifetimes: its promise, as soon as there is one. */
interface Held {
  promise?: Promise<unknown>;
}

/**
 * Counts the calls under way on a model or a session.
 *
 * Once it is disposed, they end with one error and later ones begin with it; what it owns is freed when the last one has
 * ended. No promise of theirs needs to be awaited then: `using` with a missing `await` must not end a process.
 */
export class Lifetime implements Disposable {
  readonly #name: string;
  readonly #free: () => void;
  readonly #parent: Lifetime | undefined;
  readonly #held: Set<Held> = new Set();
  readonly #over = new AbortController();
  #isFreed = false;

  /**
   * @param name What lives, as messages say it: "the session".
   * @param free Frees what it owns.
   * @param parent What must live as well: a session's model.
   */
  constructor(name: string, free: () => void, parent?: Lifetime) {
    this.#name = name;
    this.#free = free;
    this.#parent = parent;
  }

  /** Whether it is disposed, or what it needs is. */
  get isOver(): boolean {
    return this.#over.signal.aborted || this.#parent?.isOver === true;
  }

  /** What is aborted when it is over. */
  signals(): AbortSignal[] {
    return this.#chain().map((lifetime) => lifetime.#over.signal);
  }

  /** @throws {TypeError} If it is over. */
  require(action: string): void {
    this.#parent?.require(action);
    if (this.#over.signal.aborted) {
      throw new TypeError(`Cannot ${action}: ${this.#name} is disposed`);
    }
  }

  /** Runs a call from its beginning to its end: it rejects if this is over at either. */
  call<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: (call: Call) => Promise<T>,
  ): Promise<T> {
    return this.#hold(async () => {
      const call = new Call(action, this, signal);
      call.check();
      const result = await work(call);
      this.require(action);
      return result;
    });
  }

  /** Makes a call of every token or the like that a generator hands out: it ends with the error of a call. */
  generator<T>(action: string, generator: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    const guarded: AsyncGenerator<T, void> = {
      next: () =>
        this.#hold(async () => {
          if (this.isOver) await generator.return();
          this.require(action);
          const result = await generator.next();
          if (result.done !== true && this.isOver) await generator.return();
          this.require(action);
          return result;
        }),
      return: () => this.#hold(() => generator.return()),
      throw: (error) => this.#hold(() => generator.throw(error)),
      [Symbol.asyncIterator]: () => guarded,
      [Symbol.asyncDispose]: async () => {
        await guarded.return();
      },
    };
    return guarded;
  }

  /** No call can begin any more. What it owns is freed now, or when those under way have ended. */
  [Symbol.dispose](): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    for (const { promise } of this.#held) forgive(promise);
    this.#freeIfUnused();
  }

  #hold<T>(work: () => Promise<T>): Promise<T> {
    const held: Held = {};
    const lifetimes = this.#chain();
    for (const lifetime of lifetimes) lifetime.#held.add(held);
    const promise = (async () => {
      try {
        return await work();
      } finally {
        for (const lifetime of lifetimes) lifetime.#release(held);
      }
    })();
    held.promise = promise;
    if (this.isOver) forgive(promise);
    return promise;
  }

  #release(held: Held): void {
    this.#held.delete(held);
    this.#freeIfUnused();
  }

  #freeIfUnused(): void {
    if (this.#isFreed || !this.#over.signal.aborted || this.#held.size > 0) return;
    this.#isFreed = true;
    this.#free();
  }

  #chain(): Lifetime[] {
    return this.#parent === undefined ? [this] : [this, ...this.#parent.#chain()];
  }
}

/** Whoever awaits the promise hears of its failure; that nobody does is none. */
function forgive(promise: Promise<unknown> | undefined): void {
  promise?.catch(() => {});
}
