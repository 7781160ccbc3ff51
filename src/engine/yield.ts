/** Letting timers, signals and other work run between bursts. */

/** Deno and Node have it; browsers do not. */
const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/**
 * Resolves in a later turn of the event loop.
 *
 * The GPU is read without waiting (see `gpu/readback.ts`), so a loop of awaits would only ever run microtasks: an
 * `AbortSignal.timeout`, a ctrl-C or a server's other requests would never get their turn.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
