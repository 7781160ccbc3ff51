/** Letting timers, signals and other work run between bursts of work on a device. */

/** Deno and Node have it; browsers do not. */
const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/** What a browser has in its place: its timers wait 4 ms once they follow one another. */
let channel: MessageChannel | undefined;
let waiting: (() => void)[] = [];

function postTurn(resolve: () => void): void {
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => {
      const turned = waiting;
      waiting = [];
      for (const each of turned) each();
    };
  }
  waiting.push(resolve);
  channel.port2.postMessage(undefined);
}

/** How long may pass between two turns in which the system is asked for news, in milliseconds. */
const POLL_INTERVAL_MS = 200;

/** Other work waits no longer than this for its turn, in milliseconds: a turn may cost a sixth of a small model's step. */
const LONGEST_WAIT_MS = 4;

let polledAt = 0;
let turnedAt = 0;

/**
 * Resolves in a later turn of the event loop.
 *
 * Devices are read without waiting for an event, so a loop of awaits would only ever run microtasks: an
 * `AbortSignal.timeout`, a ctrl-C or a server's other requests would never get their turn.
 *
 * `setImmediate` takes a few microseconds, but Deno asks the system for signals and sockets only in every 31st of such
 * turns or so: with bursts of 25 ms, Ctrl-C was heard after up to 0.8 s. A timer is waited for, 2 ms long.
 */
export function eventLoopTurn(): Promise<void> {
  const now = performance.now();
  return new Promise((resolve) => {
    const turned = (): void => {
      turnedAt = performance.now();
      resolve();
    };
    if (setImmediate === undefined) {
      postTurn(turned);
    } else if (now - polledAt < POLL_INTERVAL_MS) {
      setImmediate(turned);
    } else {
      polledAt = now;
      setTimeout(turned, 0);
    }
  });
}

/** Whether the last turn is so long ago that what computes should take one: a look at the clock costs next to nothing. */
export function isTurnDue(): boolean {
  return performance.now() - turnedAt >= LONGEST_WAIT_MS;
}
