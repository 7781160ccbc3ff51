/** Inputs that somebody else makes, which may take for ever: waiting for them ends with the call. */

import type { Call } from "./lifetime.ts";

/** Inputs as they come, until the call ends. */
export async function* awaitedInputs<T>(
  inputs: AsyncIterable<T>,
  call: Call,
): AsyncGenerator<T, void> {
  const iterator = inputs[Symbol.asyncIterator]();
  let isWaiting = false;
  try {
    for (;;) {
      isWaiting = true;
      const next = await untilEnd(iterator.next(), call);
      isWaiting = false;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    const ended = iterator.return?.();
    // What is still waited for may never come, and its end does not before it.
    if (isWaiting) ended?.catch(() => {});
    else await ended;
  }
}

/** What a promise gives, unless the call ends before it. */
function untilEnd<T>(promise: Promise<T>, call: Call): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const stop = call.onEnd(() => {
    try {
      call.check();
    } catch (error) {
      reject(error);
    }
  });
  promise.then(resolve, reject).finally(stop);
  return result;
}
