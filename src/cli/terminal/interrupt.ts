/** Ctrl-C as an AbortSignal, for commands that have something to put in order before they end. */

/** What a shell sees of a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

/** What it sees of one that was told to end. */
const TERMINATED = 143;

/** The first word to end. */
export interface Interruption extends Disposable {
  /** Aborted by it. */
  readonly signal: AbortSignal;
  /** The exit code then; 0 before. */
  readonly code: number;
}

/** Catches the first Ctrl-C, or SIGTERM, until disposed; a second one ends the process at once. */
export function catchInterrupt(): Interruption {
  const controller = new AbortController();
  let code = 0;
  // Windows knows no SIGTERM.
  const codes = new Map<Deno.Signal, number>([["SIGINT", INTERRUPTED]]);
  if (Deno.build.os !== "windows") codes.set("SIGTERM", TERMINATED);
  const listeners = [...codes].map(([name, ownCode]) =>
    [name, () => {
      code = ownCode;
      controller.abort();
      stopListening();
    }] as const
  );
  const stopListening = () => {
    for (const [name, listener] of listeners.splice(0)) Deno.removeSignalListener(name, listener);
  };
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  return {
    signal: controller.signal,
    get code() {
      return code;
    },
    [Symbol.dispose]: stopListening,
  };
}
