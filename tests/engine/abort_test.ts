/** Every asynchronous method ends with its signal at any of its awaits, and leaves nothing running and nothing allocated. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Model, Session } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";
import "../settle_readbacks.ts";

const LONG = Array.from({ length: 300 }, (_, index) => (index * 7 + 1) % 256);
const FLOATS = Float32Array.from({ length: 3 * 24 }, (_, index) => Math.sin(index));
const REASON = new Error("enough");

/** Sources that are open, and what they gave. */
class Sources {
  open = 0;

  /** Values without end, which wait every so often. */
  async *of<T>(value: T): AsyncGenerator<T> {
    this.open++;
    try {
      for (let i = 1;; i++) {
        yield value;
        if (i % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      this.open--;
    }
  }
}

interface Subject {
  readonly model: Model;
  readonly session: Session;
  readonly signal: AbortSignal;
  readonly sources: Sources;
}

/** A call that goes on until its signal. */
type Call = (subject: Subject) => Promise<unknown>;

const drain = async (values: AsyncIterable<unknown>) => {
  for await (const _ of values);
};

/** Again and again: one of them is under way when the signal comes. */
const repeatedly = (call: Call): Call => async (subject) => {
  for (;;) await call(subject);
};

const LANGUAGE: Readonly<Record<string, Call>> = {
  "session.prefill": repeatedly(({ session, signal }) => session.prefill(LONG, { signal })),
  "session.step": repeatedly(({ session, signal }) => session.step(1, { signal })),
  "session.score": repeatedly(({ session, signal }) => session.score(LONG, { signal })),
  "session.generate": ({ session, signal }) =>
    drain(session.generate({ maxTokens: Infinity, stopIds: [], signal })),
  "session.generate with snapshots": ({ session, signal }) =>
    drain(session.generate({ maxTokens: Infinity, signal, snapshotEvery: 2 })),
  "model.generate": ({ model, signal }) =>
    drain(model.generate(LONG, { maxTokens: Infinity, signal })),
  "model.score": repeatedly(({ model, signal }) => drain(model.score(LONG, { signal }))),
  "model.score of a stream": ({ model, signal, sources }) =>
    drain(model.score(sources.of([1, 2]), { signal })),
};

const CLASSIFIER: Readonly<Record<string, Call>> = {
  "model.classify": repeatedly(({ model, signal }) => model.classify(FLOATS, { signal })),
  "model.classifyBatch": repeatedly(({ model, signal }) =>
    model.classifyBatch(FLOATS, 4, { signal })
  ),
  "model.classifyStream": ({ model, signal, sources }) =>
    drain(model.classifyStream(sources.of(FLOATS.subarray(0, 3)), { signal })),
};

/** Awaits after which the signal comes: of promises alone, and then of turns of the event loop. */
const MOMENTS = [
  ...[0, 1, 2, 3, 5, 8, 13, 21, 34, 55].map((microtasks) => ({ microtasks, turns: 0 })),
  ...[1, 2, 3, 5, 8].map((turns) => ({ microtasks: turns, turns })),
];

for (const [folder, calls] of [["mamba1", LANGUAGE], ["classifier", CLASSIFIER]] as const) {
  eachBackend(
    `an abort at any await leaves nothing running and nothing allocated in ${folder}`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(folder));
      const input = folder === "mamba1" ? 4 : FLOATS.subarray(0, 3);
      const first = folder === "mamba1" ? LONG.slice(0, 9) : FLOATS.subarray(0, 27);
      for (const [name, call] of Object.entries(calls)) {
        // Programs, and what calls work in, are made at the first call and kept.
        let kept: number | undefined;
        for (const { microtasks, turns } of [{ microtasks: 9, turns: 9 }, ...MOMENTS]) {
          const moment = `${name} after ${microtasks} awaits and ${turns} turns`;
          const controller = new AbortController();
          const sources = new Sources();
          const session = model.createSession({ seed: 1 });
          await session.prefill(first);
          const under = call({ model, session, signal: controller.signal, sources });
          const ended = under.then(() => "nothing", (error: unknown) => error);
          for (let i = 0; i < microtasks; i++) await undefined;
          for (let i = 0; i < turns; i++) await new Promise((go) => setTimeout(go, 0));
          controller.abort(REASON);
          const error = await ended;
          // Some model may draw its end before the signal comes.
          if (error !== "nothing") assertEquals(error, REASON, moment);
          // A source that waits itself ends when it has waited.
          for (let i = 0; i < 3; i++) await new Promise((go) => setTimeout(go, 0));
          assertEquals(sources.open, 0, `${moment}: a source is open`);
          // The session is not busy, and where it says that it is.
          const { position } = session;
          const snapshot = await session.snapshot();
          assertEquals(snapshot.position, position);
          const logits = await session.step(input);
          using other = model.createSession();
          other.restore(snapshot);
          assertEquals(await other.step(input), logits, moment);
          other[Symbol.dispose]();
          session[Symbol.dispose]();
          kept ??= model.deviceBytes;
          assert(
            model.deviceBytes <= kept,
            `${moment}: ${model.deviceBytes} bytes, ${kept} before`,
          );
        }
      }
    },
  );
}

eachBackend(
  "an aborted snapshot is none of an aborted generation: the session goes on",
  async (loadModel) => {
    using model = await loadModel(goldenPath("mamba1"));
    using session = model.createSession({ seed: 2 });
    await session.prefill(LONG.slice(0, 5));
    const controller = new AbortController();
    const taken: number[] = [];
    await assertRejects(
      () =>
        drain(session.generate({
          maxTokens: 40,
          signal: controller.signal,
          snapshotEvery: 3,
          onSnapshot: ({ draws }) => {
            taken.push(draws);
            if (taken.length === 4) controller.abort(REASON);
          },
        })),
      Error,
      "enough",
    );
    assertEquals(taken, [3, 6, 9, 12]);
    assertEquals((await session.snapshot()).draws, 12);
  },
);
