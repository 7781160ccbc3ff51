/** A state that one call leaves for the next. */

import type { Executor, ExecutorState } from "../model/executor.ts";

/**
 * Keeps the state of the last call that needed one for itself: what an executor makes along with a state (programs,
 * buffers to read from) takes longer than to classify an image.
 */
export class SpareState implements Disposable {
  readonly #executor: Executor;
  #spare: ExecutorState | undefined;
  #isDisposed = false;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  /** A state at the beginning of so many sequences: the caller's, until it is given back or disposed. */
  take(batch: number): ExecutorState {
    const spare = this.#spare;
    if (spare?.batch !== batch) return this.#executor.createState(batch);
    this.#spare = undefined;
    this.#executor.resetState(spare);
    return spare;
  }

  /** Keeps a state, in place of the one that was kept before. */
  give(state: ExecutorState): void {
    this.#spare?.[Symbol.dispose]();
    this.#spare = this.#isDisposed ? undefined : state;
    if (this.#isDisposed) state[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#spare?.[Symbol.dispose]();
    this.#spare = undefined;
  }
}
