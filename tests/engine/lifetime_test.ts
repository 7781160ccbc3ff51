/** Disposing is safe at any moment: every method of Model and Session, before, during, between and after. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Model, Session } from "../../mod.ts";
import { goldenPath, readGoldenJson } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const IDS = readGoldenJson<number[]>("mamba1", "ids.json");

/** Long enough for the prefill to go through in several pieces. */
const LONG = Array.from({ length: 600 }, (_, index) => (index * 7 + 1) % 256);

const FLOATS = Float32Array.from({ length: 3 * 64 }, (_, index) => Math.sin(index));

async function* idsForEver(): AsyncGenerator<number> {
  for (let id = 0;; id = (id + 1) % 256) yield await Promise.resolve(id);
}

/** A stream whose second input never comes. */
async function* stuck<T>(first: T): AsyncGenerator<T> {
  yield first;
  await new Promise(() => {});
}

/** What may be disposed, and what is called on it. */
interface Subject {
  readonly model: Model;
  readonly session: Session;
}

/** A method that gives one promise. */
type OneCall = (subject: Subject) => Promise<unknown>;

/** A method that hands out results one after the other. */
type Stream = (subject: Subject) => AsyncIterable<unknown>;

const SESSION_CALLS: Readonly<Record<string, OneCall>> = {
  prefill: ({ session }) => session.prefill(LONG),
  "prefill with a signal": ({ session }) =>
    session.prefill(LONG, { signal: new AbortController().signal, logits: "all" }),
  step: ({ session }) => session.step(1),
  score: ({ session }) => session.score(LONG),
  snapshot: ({ session }) => session.snapshot(),
};

const MODEL_CALLS: Readonly<Record<string, OneCall>> = {
  classify: ({ model }) => model.classify(FLOATS),
  classifyBatch: ({ model }) => model.classifyBatch(FLOATS, 8),
};

const SESSION_STREAMS: Readonly<Record<string, Stream>> = {
  generate: ({ session }) => session.generate({ maxTokens: Infinity }),
};

const LANGUAGE_STREAMS: Readonly<Record<string, Stream>> = {
  "model.generate": ({ model }) => model.generate(IDS, { maxTokens: Infinity }),
  "model.score": ({ model }) => model.score(LONG),
  "model.score of a stream": ({ model }) => model.score(idsForEver()),
};

const CLASSIFIER_STREAMS: Readonly<Record<string, Stream>> = {
  classifyStream: ({ model }) =>
    model.classifyStream(Array.from({ length: 64 }, () => FLOATS.subarray(0, 3))),
};

const SYNCHRONOUS: Readonly<Record<string, (subject: Subject) => unknown>> = {
  reset: ({ session }) => session.reset(),
  fork: ({ session }) => session.fork(),
  createSession: ({ model }) => model.createSession(),
};

/** A model of a kind, with a session that has inputs, and another that must not notice anything. */
async function withSubject(
  load: () => Promise<Model>,
  test: (subject: Subject) => Promise<void>,
  isDisposed: "the session" | "the model",
): Promise<void> {
  const model = await load();
  const session = model.createSession({ seed: 1 });
  const other = model.createSession({ seed: 1 });
  const isLanguageModel = model.config.head.kind === "lm";
  const input = isLanguageModel ? [1, 2, 3] : FLOATS.subarray(0, 9);
  await session.prefill(input);
  const expected = await other.prefill(input);
  const before = model.deviceBytes;
  await test({ model, session });
  if (isDisposed === "the session") {
    other.reset();
    assertEquals(await other.prefill(input), expected, "another session is disturbed");
    using next = model.createSession();
    await next.prefill(input);
    session[Symbol.dispose]();
    assert(model.deviceBytes <= before + 2 ** 24);
  }
  session[Symbol.dispose]();
  other[Symbol.dispose]();
  model[Symbol.dispose]();
  assertEquals(model.deviceBytes, 0, "memory is left");
}

const KINDS = [
  {
    name: "mamba1",
    calls: SESSION_CALLS,
    streams: { ...SESSION_STREAMS, ...LANGUAGE_STREAMS },
  },
  { name: "classifier", calls: MODEL_CALLS, streams: CLASSIFIER_STREAMS },
];

/** Onto a device of the model's own, which is destroyed with it: once a method, as each compiles its kernels again. */
const OWN_DEVICE = { device: undefined };

for (const isDisposed of ["the session", "the model"] as const) {
  const own = isDisposed === "the model" ? OWN_DEVICE : {};
  const message = `${isDisposed} is disposed`;
  const dispose = ({ model, session }: Subject) =>
    (isDisposed === "the model" ? model : session)[Symbol.dispose]();
  const concerns = (name: string) =>
    isDisposed === "the model" || name in SESSION_CALLS || name in SESSION_STREAMS;

  eachBackend(`calls under way and later ones say that ${message}`, async (loadModel) => {
    for (const { name: folder, calls } of KINDS) {
      for (const [name, call] of Object.entries(calls).filter(([name]) => concerns(name))) {
        // Under way, at once and after some turns of the event loop; then after.
        for (const turns of [0, 1]) {
          const load = () => loadModel(goldenPath(folder), turns === 0 ? {} : own);
          await withSubject(load, async (subject) => {
            const underWay = call(subject).then(() => "ended", (error: Error) => error.message);
            for (let turn = 0; turn < turns; turn++) await new Promise((go) => setTimeout(go, 0));
            dispose(subject);
            const found = await underWay;
            if (turns === 0 || found !== "ended") {
              assert(found.includes(message), `${name}: ${found}`);
            }
            await assertRejects(() => call(subject), TypeError, message, name);
          }, isDisposed);
        }
      }
    }
  });

  eachBackend(`streams of results end with the error that ${message}`, async (loadModel) => {
    for (const { name: folder, streams } of KINDS) {
      for (const [name, make] of Object.entries(streams).filter(([name]) => concerns(name))) {
        for (const taken of [0, 2]) {
          for (const isPending of [false, true]) {
            const load = () => loadModel(goldenPath(folder), taken > 0 && isPending ? own : {});
            await withSubject(load, async (subject) => {
              const stream = make(subject)[Symbol.asyncIterator]();
              for (let count = 0; count < taken; count++) {
                assertEquals((await stream.next()).done, false);
              }
              const pending = isPending ? stream.next() : undefined;
              dispose(subject);
              if (pending !== undefined) {
                await assertRejects(() => pending, TypeError, message, name);
              }
              await assertRejects(() => stream.next(), TypeError, message, name);
              await assertRejects(() => stream.next(), TypeError, message, name);
              assertEquals((await stream.return?.())?.done, true);
            }, isDisposed);
          }
        }
      }
    }
  });

  eachBackend(`methods without a promise throw that ${message}`, async (loadModel) => {
    for (const [name, call] of Object.entries(SYNCHRONOUS)) {
      if (isDisposed === "the session" && name === "createSession") continue;
      await withSubject(() => loadModel(goldenPath("mamba1")), (subject) => {
        dispose(subject);
        assertThrows(() => call(subject), TypeError, message, name);
        return Promise.resolve();
      }, isDisposed);
    }
    await withSubject(() => loadModel(goldenPath("mamba1")), async (subject) => {
      const snapshot = await subject.session.snapshot();
      dispose(subject);
      assertThrows(() => subject.session.restore(snapshot), TypeError, message);
    }, isDisposed);
  });

  eachBackend(
    `a promise that nobody awaits ends nothing, where ${message}`,
    async (loadModel) => {
      const unhandled: string[] = [];
      const note = (event: PromiseRejectionEvent) => {
        event.preventDefault();
        unhandled.push(String(event.reason));
      };
      addEventListener("unhandledrejection", note);
      try {
        for (const { name: folder, calls, streams } of KINDS) {
          const load = () => loadModel(goldenPath(folder), own);
          for (const [name, call] of Object.entries(calls).filter(([name]) => concerns(name))) {
            await withSubject(load, async (subject) => {
              call(subject);
              dispose(subject);
              call(subject);
              await settled(() => subject.model.deviceBytes);
            }, isDisposed);
            assertEquals(unhandled, [], name);
          }
          for (const [name, make] of Object.entries(streams).filter(([name]) => concerns(name))) {
            await withSubject(load, async (subject) => {
              const stream = make(subject)[Symbol.asyncIterator]();
              stream.next();
              stream.next();
              dispose(subject);
              stream.next();
              await settled(() => subject.model.deviceBytes);
            }, isDisposed);
            assertEquals(unhandled, [], name);
          }
        }
      } finally {
        removeEventListener("unhandledrejection", note);
      }
    },
  );
}

/** Waits until memory has not changed for some turns of the event loop. */
async function settled(bytes: () => number): Promise<void> {
  for (let same = 0, last = bytes(); same < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    same = bytes() === last ? same + 1 : 0;
    last = bytes();
  }
}

eachBackend("what waits for an input that never comes ends with the model", async (loadModel) => {
  for (const isAborted of [false, true]) {
    const model = await loadModel(goldenPath("mamba1"));
    const controller = new AbortController();
    const { signal } = controller;
    const scores = model.score(stuck(1), { signal })[Symbol.asyncIterator]();
    await scores.next();
    const pending = scores.next();
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (isAborted) controller.abort(new RangeError("enough"));
    else model[Symbol.dispose]();
    const message = isAborted ? "enough" : "the model is disposed";
    await assertRejects(() => pending, Error, message);
    model[Symbol.dispose]();
    assertEquals(model.deviceBytes, 0);
  }
});
