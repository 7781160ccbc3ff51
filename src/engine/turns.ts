/** Turns on an executor: the calls on a model are served one after the other, and the event loop between them. */

import { eventLoopTurn, isTurnDue } from "../io/event_loop_turn.ts";
import type { Pauses } from "../model/executor.ts";
import type { Call } from "./lifetime.ts";

/**
 * Who may run on a model's executor. Calls come to their turn in the order in which they ask; a long one asks again after
 * every piece, about 25 ms long, so that none waits for more than a piece of each of the others.
 */
export class Turns {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /**
   * Runs work in a turn.
   *
   * @param work Hands its pauses to the executor: others are served in them.
   */
  async run<T>(call: Call, work: (pauses: Pauses) => Promise<T>): Promise<T> {
    let isMine = false;
    const take = async (): Promise<void> => {
      await this.#take(call);
      isMine = true;
      await this.#within(call);
    };
    const give = (): void => {
      if (isMine) this.#give();
      isMine = false;
    };
    try {
      await take();
      return await work({
        within: () => this.#within(call),
        between: () => {
          if (this.#waiting.length === 0) return this.#within(call);
          give();
          return take();
        },
      });
    } finally {
      give();
    }
  }

  #within(call: Call): Promise<void> | undefined {
    if (isTurnDue()) return eventLoopTurn().then(() => call.check());
    call.check();
  }

  /** Waits for the turn. A call that ends meanwhile does not wait for those before it. */
  async #take(call: Call): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const stop = call.onEnd(() => {
      const place = this.#waiting.indexOf(resolve);
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      try {
        call.check();
      } catch (error) {
        reject(error);
      }
    });
    try {
      await promise;
    } finally {
      stop();
    }
  }

  /** The turn goes to the next in the row, without being free in between. */
  #give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next();
  }
}
