/** Streams of text through the language model: the columns that the page shows. */

import type { Session } from "../../engine/session.ts";
import { decodeSnapshot, encodeSnapshot } from "../../engine/snapshot.ts";
import { eventLoopTurn } from "../../io/event_loop_turn.ts";
import type { Handlers, OpenStream } from "../calls.ts";
import { modelIn, onUnload } from "./models.ts";

/** How often the page is told: more than a screen shows would only keep it busy. */
const TOLD_EVERY_MS = 30;

/** A stream, and how many tokens its text has: one more than the session has consumed, where one waits. */
interface Stream {
  readonly session: Session;
  tokens: number;
}

const streams = new Map<number, Stream>();
let lastStream = 0;

onUnload("text", () => {
  for (const { session } of streams.values()) session[Symbol.dispose]();
  streams.clear();
});

/** Begins a text. */
export const openStream: Handlers["openStream"] = async ({ prompt, seed }) => {
  const model = modelIn("text");
  if (model.tokenizer === undefined) {
    throw new TypeError("Cannot write: the model has no tokenizer.json");
  }
  const ids = model.tokenizer.encode(prompt);
  if (ids.length === 0) throw new TypeError("Cannot write: the beginning is empty");
  const session = model.createSession({ seed });
  try {
    await session.prefill(ids, { logits: "last" });
  } catch (error) {
    session[Symbol.dispose]();
    throw error;
  }
  return register({ session, tokens: ids.length });
};

/** Writes on. Stopping leaves the stream behind the last token that was told. */
export const write: Handlers["write"] = async ({ stream, drawing }, { signal, emit }) => {
  const own = streamOf(stream);
  const { seed, temperature, topP, maxTokens } = drawing;
  const start = performance.now();
  let text = "", tokens = 0, toldAt = start;
  const told = () => ({ text, tokens, elapsedMs: performance.now() - start });
  for await (const token of own.session.generate({ seed, temperature, topP, maxTokens })) {
    text += token.text;
    tokens++;
    own.tokens++;
    const now = performance.now();
    if (now - toldAt >= TOLD_EVERY_MS) {
      emit(told());
      text = "";
      toldAt = now;
      await eventLoopTurn();
    }
    if (signal.aborted) break;
  }
  return told();
};

/** A second stream at the same point: a copy of the state. */
export const fork: Handlers["fork"] = ({ stream }) => {
  const { session, tokens } = streamOf(stream);
  return Promise.resolve(register({ session: session.fork(), tokens }));
};

/** The state as the bytes of a file. */
export const saveState: Handlers["saveState"] = async ({ stream }) =>
  encodeSnapshot(await streamOf(stream).session.snapshot());

/** A stream at the point where a state was saved. */
export const restoreState: Handlers["restoreState"] = async ({ bytes, name }) => {
  const snapshot = await decodeSnapshot(bytes, name);
  const session = modelIn("text").createSession();
  try {
    session.restore(snapshot);
  } catch (error) {
    session[Symbol.dispose]();
    throw error;
  }
  const waiting = snapshot.pendingToken === undefined ? 0 : 1;
  return register({ session, tokens: snapshot.position + waiting });
};

/** Forgets a stream. */
export const closeStream: Handlers["closeStream"] = ({ stream }) => {
  streams.get(stream)?.session[Symbol.dispose]();
  streams.delete(stream);
  return Promise.resolve();
};

function register(own: Stream): OpenStream {
  const stream = ++lastStream;
  streams.set(stream, own);
  const { session: { stateBytes, sampler }, tokens } = own;
  return { stream, tokens, stateBytes, seed: sampler.seed };
}

function streamOf(stream: number): Stream {
  const own = streams.get(stream);
  if (own === undefined) {
    throw new TypeError("Cannot go on with this text: its model was replaced");
  }
  return own;
}
