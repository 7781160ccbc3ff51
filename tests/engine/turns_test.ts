/** Sessions are served in turn, and the event loop between them. Counted in pieces, as machines are slower or faster. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Lifetime } from "../../src/engine/lifetime.ts";
import { Turns } from "../../src/engine/turns.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const SESSIONS = 8;

/** Computes for so many milliseconds, in which nothing else can run. */
function compute(ms: number): void {
  for (const start = performance.now(); performance.now() - start < ms;);
}

Deno.test("calls come to their turn one after the other, and a timer between them", async () => {
  using lifetime = new Lifetime("the model", () => {});
  const turns = new Turns();
  const order: number[] = [];
  let sinceTick = 0;
  let most = 0;
  const timer = setInterval(() => sinceTick = 0, 10);
  await Promise.all(
    Array.from(
      { length: SESSIONS },
      (_, index) =>
        lifetime.call("run", undefined, (call) =>
          turns.run(call, async ({ within, between }) => {
            for (let piece = 0; piece < 10; piece++) {
              if (piece > 0) {
                await between();
              }
              for (let part = 0; part < 2; part++) {
                if (part > 0) await within();
                // Longer than an interval of the timer: it is due in every turn of the event loop.
                compute(11);
                most = Math.max(most, ++sinceTick);
              }
              order.push(index);
            }
          })),
    ),
  );
  clearInterval(timer);
  assertEquals(order, Array.from({ length: 10 * SESSIONS }, (_, place) => place % SESSIONS));
  // The runtime may take another phase of its event loop first.
  assert(most <= 3, `${most} parts without a turn of the timer`);
});

Deno.test("a call that is aborted while it waits does not wait for the others", async () => {
  using lifetime = new Lifetime("the model", () => {});
  const turns = new Turns();
  const controller = new AbortController();
  const { promise: isRunning, resolve: runs } = Promise.withResolvers<void>();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const first = lifetime.call("run", undefined, (call) =>
    turns.run(call, async () => {
      runs();
      await mayEnd;
    }));
  await isRunning;
  let hasRun = false;
  const second = lifetime.call("run", controller.signal, (call) =>
    turns.run(call, () => {
      hasRun = true;
      return Promise.resolve();
    }));
  const third = lifetime.call(
    "run",
    undefined,
    (call) => turns.run(call, () => Promise.resolve("third")),
  );
  controller.abort(new RangeError("enough"));
  // The first one has not ended yet.
  await assertRejects(() => second, RangeError, "enough");
  end();
  await first;
  assertEquals(await third, "third");
  assertEquals(hasRun, false);
});

Deno.test("a turn ends with the work that fails, and with a call that ends in its pause", async () => {
  using lifetime = new Lifetime("the model", () => {});
  const turns = new Turns();
  const controller = new AbortController();
  const failed = lifetime.call(
    "run",
    undefined,
    (call) => turns.run(call, () => Promise.reject(new RangeError("broken"))),
  );
  const ended = lifetime.call(
    "run",
    controller.signal,
    (call) =>
      turns.run(call, async ({ between }) => {
        controller.abort(new RangeError("enough"));
        await between();
      }),
  );
  const third = lifetime.call(
    "run",
    undefined,
    (call) => turns.run(call, () => Promise.resolve("third")),
  );
  await assertRejects(() => failed, RangeError, "broken");
  await assertRejects(() => ended, RangeError, "enough");
  assertEquals(await third, "third");
});

eachBackend(
  "of eight prompts one is aborted, and a timer and the others go on meanwhile",
  async (loadModel) => {
    using model = await loadModel(goldenPath("mamba1"));
    const ids = Array.from({ length: 1500 }, (_, index) => (index * 7 + 1) % 256);
    using alone = model.createSession();
    const expected = await alone.prefill(ids);
    using sessions = new DisposableStack();
    const made = Array.from({ length: SESSIONS }, () => sessions.use(model.createSession()));
    const order: number[] = [];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    // Beside the timer: on a fast machine it may all be over within ten milliseconds.
    const controller = new AbortController();
    let piecesAtAbort = Infinity;
    setTimeout(() => {
      piecesAtAbort = order.length;
      controller.abort(new RangeError("enough"));
    }, 0);
    const aborted = SESSIONS - 1;
    const results = await Promise.allSettled(made.map((session, index) =>
      session.prefill(ids, {
        onProgress: () => order.push(index),
        signal: index === aborted ? controller.signal : undefined,
      })
    ));
    clearInterval(timer);
    const rejected = results[aborted];
    assertEquals(rejected?.status === "rejected" && rejected.reason.message, "enough");
    assertEquals(order.slice(piecesAtAbort).includes(aborted), false);
    assert(order.length - piecesAtAbort > SESSIONS, "the abort came after the others");
    for (const result of results.slice(0, aborted)) {
      assertEquals(result, { status: "fulfilled", value: expected });
    }
    // Between two pieces of one, each other has one at most.
    for (let start = 0; start < order.length; start++) {
      const round = order.slice(start, order.indexOf(order[start] ?? 0, start + 1));
      assertEquals(new Set(round).size, round.length, order.join());
    }
    // It is as it was: the same prompt gives the same bits.
    const [session] = made.slice(aborted);
    assertEquals(session?.position, 0);
    assertEquals(await session?.prefill(ids), expected);
  },
);

eachBackend("an aborted call leaves its session as it was", async (loadModel) => {
  using model = await loadModel(goldenPath("mamba1"));
  const ids = Array.from({ length: 1500 }, (_, index) => (index * 7 + 1) % 256);
  const begin = async () => {
    const session = model.createSession({ seed: 1 });
    await session.prefill([1, 2, 3]);
    for await (const _ of session.generate({ maxTokens: 5 }));
    return session;
  };
  using straight = await begin();
  const expected = await straight.score(ids.slice(0, 20));
  for (const action of ["prefill", "score", "step"] as const) {
    using session = await begin();
    const { position } = session;
    const controller = new AbortController();
    const { signal } = controller;
    const pending = action === "step"
      ? session.step(1, { signal })
      : session[action](ids, { signal });
    if (action === "step") controller.abort(new RangeError("enough"));
    else setTimeout(() => controller.abort(new RangeError("enough")), 0);
    await assertRejects(() => pending, RangeError, "enough");
    assertEquals(session.position, position);
    assertEquals(await session.score(ids.slice(0, 20)), expected, action);
  }
});

eachBackend("classify() and the streams end with the signal's reason", async (loadModel) => {
  using classifier = await loadModel(goldenPath("classifier"));
  const floats = Float32Array.from({ length: 3 * 3000 }, (_, index) => Math.sin(index));
  using language = await loadModel(goldenPath("mamba1"));
  const ids = Array.from({ length: 1500 }, (_, index) => (index * 7 + 1) % 256);
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => classifier.classify(floats, { signal }),
    (signal) => classifier.classifyBatch(floats, 2, { signal }),
    (signal) =>
      Array.fromAsync(classifier.classifyStream(
        Array.from({ length: 1e5 }, () => floats.subarray(0, 3)),
        { signal },
      )),
    (signal) => Array.fromAsync(language.score(ids, { signal })),
    (signal) => Array.fromAsync(language.generate(ids, { signal, maxTokens: Infinity })),
  ];
  for (const call of calls) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new RangeError("enough")), 0);
    await assertRejects(() => call(controller.signal), RangeError, "enough");
  }
});
