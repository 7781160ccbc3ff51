/** Streams of text through the language model: the columns that the page shows. */

import type { Session } from "../../engine/session.ts";
import { decodeSnapshot, encodeSnapshot } from "../../engine/snapshot.ts";
import { eventLoopTurn } from "../../io/event_loop_turn.ts";
import type { Handlers, OpenStream } from "../calls.ts";
import { modelIn, onUnload } from "./models.ts";

/** How often the page is told: more than a screen shows would only keep it busy. */
const TOLD_EVERY_MS = 30;

const sessions = new Map<number, Session>();
let lastStream = 0;

onUnload("text", () => {
  for (const session of sessions.values()) session[Symbol.dispose]();
  sessions.clear();
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
  return register(session);
};

/** Writes on. Stopping leaves the stream behind the last token that was told. */
export const write: Handlers["write"] = async ({ stream, drawing }, { signal, emit }) => {
  const session = sessionOf(stream);
  const { seed, temperature, topP, maxTokens } = drawing;
  const start = performance.now();
  let text = "", tokens = 0, toldAt = start;
  const told = () => ({ text, tokens, elapsedMs: performance.now() - start });
  for await (const token of session.generate({ seed, temperature, topP, maxTokens })) {
    text += token.text;
    tokens++;
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
export const fork: Handlers["fork"] = ({ stream }) =>
  Promise.resolve(register(sessionOf(stream).fork()));

/** The state as the bytes of a file. */
export const saveState: Handlers["saveState"] = async ({ stream }) =>
  encodeSnapshot(await sessionOf(stream).snapshot());

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
  return register(session);
};

/** Forgets a stream. */
export const closeStream: Handlers["closeStream"] = ({ stream }) => {
  sessions.get(stream)?.[Symbol.dispose]();
  sessions.delete(stream);
  return Promise.resolve();
};

function register(session: Session): OpenStream {
  const stream = ++lastStream;
  sessions.set(stream, session);
  const { position, stateBytes, sampler } = session;
  return { stream, position, stateBytes, seed: sampler.seed };
}

function sessionOf(stream: number): Session {
  const session = sessions.get(stream);
  if (session === undefined) {
    throw new TypeError("Cannot go on with this text: its model was replaced");
  }
  return session;
}
