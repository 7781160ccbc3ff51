/** Trying again what may pass: with pauses that grow, or as long as the server asks. */

import { HttpError } from "./requests.ts";

/** A failure that may pass: a server that is busy, a connection that broke. */
export class PassingHttpError extends HttpError {
  /** How long the server asks to wait; undefined where it does not say. */
  readonly waitMs: number | undefined;

  /** Describes the failure, as it is shown if it does not pass. */
  constructor(
    message: string,
    status: number | undefined,
    options: ErrorOptions & { waitMs?: number | undefined } = {},
  ) {
    super(message, status, options);
    this.waitMs = options.waitMs;
  }
}

/** Settings of {@linkcode retry}. */
export interface RetryOptions {
  /** Ends the waiting, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How often in a row it may fail.
   *
   * @default {5}
   */
  readonly attempts?: number | undefined;
  /**
   * The first pause; each further one is twice as long.
   *
   * @default {1000}
   */
  readonly firstWaitMs?: number | undefined;
  /** Is told before each pause. */
  readonly onWait?: ((error: PassingHttpError, waitMs: number) => void) | undefined;
}

/** Nobody watches a terminal longer than this for a server that asks for patience. */
const MAX_WAIT_MS = 5 * 60_000;

/**
 * Runs something until it succeeds, fails for good, or has failed too often in a row.
 *
 * @param attempt What is run; it may say that it came further than ever before, which makes its next failure the first.
 * @param options See {@linkcode RetryOptions}.
 * @returns What the attempt gives.
 */
export async function retry<T>(
  attempt: (progressed: () => void) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { signal, attempts = 5, firstWaitMs = 1000 } = options;
  for (let failures = 0;;) {
    signal?.throwIfAborted();
    try {
      return await attempt(() => failures = 0);
    } catch (error) {
      signal?.throwIfAborted();
      failures++;
      if (!(error instanceof PassingHttpError) || failures >= attempts) throw error;
      const waitMs = error.waitMs ?? firstWaitMs * 2 ** (failures - 1);
      if (waitMs > MAX_WAIT_MS) throw error;
      options.onWait?.(error, waitMs);
      await sleep(waitMs, signal);
    }
  }
}

/**
 * How long an answer asks to wait: Retry-After in seconds or as a date, or the seconds until a rate limit's window ends.
 *
 * @param headers The answer's.
 * @param now Milliseconds since 1970.
 * @returns Milliseconds, or undefined where it does not say.
 */
export function requestedWaitMs(headers: Headers, now: number = Date.now()): number | undefined {
  const after = headers.get("retry-after") ??
    /(?:^|[;,])\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  if (after === undefined) return undefined;
  const wait = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - now;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
