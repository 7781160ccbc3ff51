/// <reference lib="dom" />
/** The page's end of its worker: calls become messages, and their answers promises. */

import type { Answer, CallName, Calls } from "./calls.ts";

/** How a call is followed, and ended early. */
export interface CallOptions<Event> {
  readonly onEvent?: (event: Event) => void;
  readonly signal?: AbortSignal;
  /** What of the argument the worker gets as it is: nobody else has it any more. */
  readonly transfer?: Transferable[];
}

interface Pending {
  readonly onEvent: (event: unknown) => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The engine, in a worker of its own: the page stays free to draw. */
export class EngineClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#answer(data);
    worker.onerror = ({ message }) => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`The engine's worker failed: ${message || "it could not be loaded"}`));
      }
      this.#pending.clear();
    };
  }

  /**
   * Calls a function of the worker.
   *
   * @throws {DOMException} Named `AbortError`, where the signal ended it.
   */
  call<Name extends CallName>(
    name: Name,
    argument: Calls[Name]["argument"],
    { onEvent = () => {}, signal, transfer = [] }: CallOptions<Calls[Name]["event"]> = {},
  ): Promise<Calls[Name]["result"]> {
    const id = ++this.#lastId;
    const abort = () => this.#worker.postMessage({ id, name: "abort" });
    const answered = new Promise<Calls[Name]["result"]>((resolve, reject) => {
      this.#pending.set(id, {
        onEvent: (event) => onEvent(event as Calls[Name]["event"]),
        resolve: (value) => resolve(value as Calls[Name]["result"]),
        reject,
      });
      this.#worker.postMessage({ id, name, argument }, transfer);
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort, { once: true });
    });
    return answered.finally(() => signal?.removeEventListener("abort", abort));
  }

  #answer(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    if (answer.kind === "event") {
      pending.onEvent(answer.value);
      return;
    }
    this.#pending.delete(answer.id);
    if (answer.kind === "error") pending.reject(new DOMException(answer.message, answer.name));
    else pending.resolve(answer.value);
  }
}

/** Whether an error is only that somebody said stop. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
