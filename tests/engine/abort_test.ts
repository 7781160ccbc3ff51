/** Every asynchronous method ends with its signal at any of its awaits, and leaves nothing running and nothing allocated. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { classifySounds, type Model, type Session } from "../../mod.ts";
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

/** Half a second of something, in silence: a sound, whatever it is named. */
const SOUND = Float32Array.from(
  { length: 8000 },
  (_, index) => index >= 2000 && index < 6000 ? 0.3 * Math.sin(index * index / 5000) : 0,
);

const SOUNDS: Readonly<Record<string, Call>> = {
  "classifySounds": repeatedly(({ model, signal }) =>
    drain(classifySounds(model, [SOUND], { signal }))
  ),
  "classifySounds of a stream": ({ model, signal, sources }) =>
    drain(classifySounds(model, sources.of(SOUND), { signal, sampleRate: 16000 })),
};

/** Models, by their folders: what is called on them, the inputs of their sessions before, and one more. */
const SUBJECTS: Readonly<
  Record<string, {
    readonly calls: Readonly<Record<string, Call>>;
    readonly first: readonly number[] | Float32Array;
    readonly next: number | Float32Array;
  }>
> = {
  [goldenPath("mamba1")]: { calls: LANGUAGE, first: LONG.slice(0, 9), next: 4 },
  [goldenPath("classifier")]: {
    ...{ calls: CLASSIFIER, first: FLOATS.subarray(0, 27), next: FLOATS.subarray(0, 3) },
  },
  [new URL("../../weights/spoken-digits", import.meta.url).pathname]: {
    ...{ calls: SOUNDS, first: SOUND.subarray(3000, 3080), next: SOUND.subarray(3080, 3120) },
  },
};

/** Awaits after which the signal comes: of promises alone, and then of turns of the event loop. */
const MOMENTS = [
  ...[0, 1, 2, 3, 5, 8, 13, 21, 34, 55].map((microtasks) => ({ microtasks, turns: 0 })),
  ...[1, 2, 3, 5, 8].map((turns) => ({ microtasks: turns, turns })),
];

for (const [folder, { calls, first, next }] of Object.entries(SUBJECTS)) {
  eachBackend(
    `an abort at any await leaves nothing running and nothing allocated in ${
      folder.replace(/.*\//, "")
    }`,
    async (loadModel) => {
      using model = await loadModel(folder);
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
          const logits = await session.step(next);
          using other = model.createSession();
          other.restore(snapshot);
          assertEquals(await other.step(next), logits, moment);
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
