/** What sessions of a model do together: draws and single steps, each in one call of the executor for all who ask. */

import {
  type DrawRequest,
  type Draws,
  type Executor,
  type StepRequest,
  TURN_MS,
} from "../model/executor.ts";
import { Gathering } from "./gathering.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Turns } from "./turns.ts";

/** The gatherings of one model. */
export interface Together {
  /** Draws as many tokens as were asked for, or fewer, at least one, where those would take much longer than a turn. */
  readonly draws: Gathering<DrawRequest, Draws>;
  /** Feeds one input, and gives the logits after it. */
  readonly steps: Gathering<StepRequest, Float32Array>;
}

/** Makes them. */
export function createTogether(executor: Executor, turns: Turns, lifetime: Lifetime): Together {
  const pace = new BurstPace();
  const served = { turns, lifetime, most: executor.maxCompany };
  return {
    draws: new Gathering(served, async (requests) => {
      const wanted = Math.max(...requests.map(({ steps }) => steps));
      const most = pace.steps(requests.length, wanted);
      const start = performance.now();
      const draws = await executor.draw(
        requests.map((request) => ({ ...request, steps: Math.min(request.steps, most) })),
      );
      pace.took(requests.length, most, performance.now() - start);
      return draws;
    }),
    steps: new Gathering(served, (requests) => executor.step(requests)),
  };
}

/**
 * How long bursts are: up to what takes about {@linkcode TURN_MS}, short enough to read along, long enough to hide the wait
 * for the GPU.
 */
class BurstPace {
  #stepMs = 0;
  #sessions = 1;

  /** Steps of a burst of so many sessions, of those that are wanted. */
  steps(sessions: number, wanted: number): number {
    // More of them take longer in proportion at most, and that is soon known better.
    const stepMs = this.#stepMs * Math.max(1, sessions / this.#sessions);
    return Math.max(1, Math.min(wanted, Math.floor(TURN_MS / Math.max(stepMs, 1e-3))));
  }

  /** Notes how long a burst took. */
  took(sessions: number, steps: number, elapsedMs: number): void {
    this.#stepMs = elapsedMs / steps;
    this.#sessions = sessions;
  }
}
