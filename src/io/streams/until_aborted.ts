/** Streams that end when somebody has seen enough. */

/** A source's values until the signal: then, as at its own end, there are no more. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]();
  let isWaiting = false;
  let end = (): void => {};
  const listener = () => end();
  signal?.addEventListener("abort", listener);
  try {
    while (!signal?.aborted) {
      // One promise for all waits would hold what each of them gave, for as long as the stream goes on.
      const { promise: over, resolve } = Promise.withResolvers<undefined>();
      end = () => resolve(undefined);
      isWaiting = true;
      const result = await Promise.race([iterator.next(), over]);
      if (result === undefined) return;
      isWaiting = false;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", listener);
    const ended = iterator.return?.();
    // What is still waited for may never come, and its end does not before it.
    if (isWaiting) ended?.catch(() => {});
    else await ended;
  }
}
