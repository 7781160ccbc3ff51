/** Ctrl-C as an AbortSignal, for commands that have something to put in order before they end. */

/** What a shell sees of a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

/**
 * Catches the first Ctrl-C until disposed; a second one ends the process at once.
 *
 * @returns The signal that the first one aborts.
 */
export function catchInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stopListening = () => Deno.removeSignalListener("SIGINT", listener);
  const listener = () => {
    controller.abort();
    stopListening();
  };
  Deno.addSignalListener("SIGINT", listener);
  return { signal: controller.signal, [Symbol.dispose]: stopListening };
}
