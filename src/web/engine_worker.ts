/** The worker: takes the page's calls, and runs the engine beside it. */

import type { Answer, Handlers, Request } from "./calls.ts";
import { deleteKept, inspect, listKept } from "./worker/checkpoints.ts";
import { check } from "./worker/checks.ts";
import { load } from "./worker/models.ts";
import { offer } from "./worker/offer.ts";
import { readImage } from "./worker/read_image.ts";
import { closeStream, fork, openStream, restoreState, saveState, write } from "./worker/streams.ts";

const handlers: Handlers = {
  offer,
  load,
  readImage,
  hear: async (argument, context) => {
    // Who says nothing loads none of it.
    const { hear } = await import("./worker/hear.ts");
    await hear(argument, context);
  },
  openStream,
  write,
  fork,
  saveState,
  restoreState,
  closeStream,
  check,
  inspect,
  trainText: async (argument, context) => {
    // Who trains nothing loads none of it.
    const { trainText } = await import("./worker/train_text.ts");
    return await trainText(argument, context);
  },
  listKept,
  deleteKept,
};

/** The worker's own scope, of which TypeScript here knows only a page's. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(answer: Answer): void;
};

/** Calls under way, by id. */
const running = new Map<number, AbortController>();

scope.onmessage = ({ data }) => {
  if (data.name === "abort") running.get(data.id)?.abort();
  else void answer(data);
};

async function answer(request: Exclude<Request, { name: "abort" }>): Promise<void> {
  const { id } = request;
  const controller = new AbortController();
  running.set(id, controller);
  const { signal } = controller;
  const emit = (value: unknown) => scope.postMessage({ id, kind: "event", value });
  try {
    // Each handler takes its own argument, which the two of them say by name.
    const handle = handlers[request.name] as (
      argument: unknown,
      context: { signal: AbortSignal; emit: (value: unknown) => void },
    ) => Promise<unknown>;
    const value = await handle(request.argument, { signal, emit });
    scope.postMessage({ id, kind: "result", value });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    scope.postMessage({ id, kind: "error", name: signal.aborted ? "AbortError" : name, message });
  } finally {
    running.delete(id);
  }
}
