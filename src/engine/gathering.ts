/** Calls of one kind that several sessions make at about the same time, made as one. */

import { eventLoopTurn } from "../io/event_loop_turn.ts";
import { Call, type Lifetime } from "./lifetime.ts";
import type { Turns } from "./turns.ts";

/** What a gathering runs, for all of its requests together. */
export type RunTogether<Request, Result> = (requests: readonly Request[]) => Promise<Result[]>;

interface Waiting<Request, Result> {
  readonly call: Call;
  readonly request: Request;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Gathers what sessions ask for until the executor is free, and asks it once.
 *
 * A session asks again as soon as it has what it asked for, so those that were served together meet again, and whoever
 * came meanwhile joins them. A session on its own waits for nobody.
 */
export class Gathering<Request, Result> {
  readonly #turns: Turns;
  readonly #lifetime: Lifetime;
  readonly #most: number;
  readonly #runTogether: RunTogether<Request, Result>;
  #waiting: Waiting<Request, Result>[] = [];
  /** Whether somebody has asked for the executor, and will take along all who wait by then. */
  #isCalled = false;
  /** Whether another may be about to ask. */
  #expectsMore = false;

  /**
   * @param lifetime Of the model.
   * @param most Requests that are run at once.
   */
  constructor(
    { turns, lifetime, most }: {
      readonly turns: Turns;
      readonly lifetime: Lifetime;
      readonly most: number;
    },
    runTogether: RunTogether<Request, Result>,
  ) {
    this.#turns = turns;
    this.#lifetime = lifetime;
    this.#most = most;
    this.#runTogether = runTogether;
  }

  /** Asks, with whoever else does; a call that ends meanwhile does not wait for the others. */
  async ask(call: Call, request: Request): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const own = { call, request, resolve, reject };
    this.#waiting.push(own);
    const stop = call.onEnd(() => {
      const place = this.#waiting.indexOf(own);
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      rejectEnded(own);
    });
    if (!this.#isCalled) this.#callAll();
    try {
      return await promise;
    } finally {
      stop();
    }
  }

  /** Serves all who wait, in as many calls as that takes. */
  async #callAll(): Promise<void> {
    this.#isCalled = true;
    while (this.#waiting.length > 0) {
      // The turn is the model's, not one session's: whoever asked first may end before it comes.
      const call = new Call("run the sessions", this.#lifetime, undefined);
      let taken: Waiting<Request, Result>[] = [];
      try {
        await this.#turns.run(call, async () => {
          if (this.#expectsMore || this.#waiting.length > 1) await eventLoopTurn();
          taken = this.#take();
          if (taken.length === 0) return;
          const results = await this.#runTogether(taken.map(({ request }) => request));
          for (const [index, result] of results.entries()) taken[index]?.resolve(result);
        });
      } catch (error) {
        // A model that is disposed ends every call by itself; this is for those that wait here.
        for (const each of taken.length > 0 ? taken : this.#waiting.splice(0)) each.reject(error);
      }
      this.#expectsMore = taken.length > 1 || this.#waiting.length > 0;
      // Those just served ask again in microtasks, before this goes on.
    }
    this.#isCalled = false;
  }

  /** Who is served now: the first ones of those whose call has not ended. */
  #take(): Waiting<Request, Result>[] {
    const taken: Waiting<Request, Result>[] = [];
    while (taken.length < this.#most) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      if (rejectEnded(next)) continue;
      taken.push(next);
    }
    return taken;
  }
}

/** Whether the call has ended: then whoever waits hears why. */
function rejectEnded<Request, Result>({ call, reject }: Waiting<Request, Result>): boolean {
  try {
    call.check();
    return false;
  } catch (error) {
    reject(error);
    return true;
  }
}
