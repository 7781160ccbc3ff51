import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";
import "../settle_readbacks.ts";

const LM = goldenPath("mamba1");
const SAMPLING = { seed: 5, temperature: 0.9, repetitionPenalty: 1.2 };
const ids = (length: number) => Array.from({ length }, (_, i) => (i * 7 + 1) % 100);

eachBackend(
  "rewind() takes back steps, to the bit, any number within its reach",
  async (loadModel) => {
    using model = await loadModel(LM);
    using session = model.createSession({ rewind: 5 });
    const logits: Float32Array[] = [];
    for (const id of ids(23)) logits.push(await session.step(id));
    for (const n of [1, 3, 5, 2]) {
      const { position } = session;
      assert(session.rewindable >= 5, `${session.rewindable}`);
      session.rewind(n);
      assertEquals(session.position, position - n);
      for (let at = position - n; at < 23; at++) {
        assertEquals(await session.step(ids(23)[at] ?? 0), logits[at], `${n}: ${at}`);
      }
    }
    session.rewind(2);
    session.rewind(1);
    using branch = session.fork();
    for (const each of [branch, session]) {
      assertEquals(await each.step(ids(23)[20] ?? 0), logits[20]);
    }
  },
);

eachBackend("rewind() takes back drawn tokens, which are drawn again", async (loadModel) => {
  using model = await loadModel(LM);
  using session = model.createSession(SAMPLING);
  await session.prefill(ids(10));
  const draw = async (maxTokens: number) =>
    (await Array.fromAsync(session.generate({ maxTokens }))).map((
      { id, position },
    ) => [id, position]);
  const all = await draw(150);
  const snapshot = await session.snapshot();
  for (const n of [1, 2, 30, 64]) {
    session.rewind(n);
    assertEquals(await draw(n), all.slice(-n), `${n}`);
    assertEquals(await session.snapshot(), snapshot, `${n}`);
  }
  // The pending token is taken back first, and nothing is to be computed again for it.
  const { position } = session;
  session.rewind(1);
  assertEquals(session.position, position);
});

eachBackend("rewind() goes into the middle of a prompt, long or short", async (loadModel) => {
  using model = await loadModel(LM);
  for (const length of [40, 1500]) {
    using session = model.createSession({ rewind: 20 });
    using plain = model.createSession({ rewind: 0 });
    await session.prefill(ids(length));
    session.rewind(13);
    const found = await session.step(3);
    await plain.prefill(ids(length - 13));
    const expected = await plain.step(3);
    for (const [i, logit] of expected.entries()) assertAlmostEquals(found[i] ?? NaN, logit, 1e-3);
    assertEquals(session.position, length - 12);
  }
});

eachBackend(
  "rewind() says how many inputs can be taken back, and holds two states for it",
  async (loadModel) => {
    using model = await loadModel(LM);
    using session = model.createSession({ rewind: 8 });
    session.rewind(0);
    assertThrows(() => session.rewind(1), RangeError, "keeps what it needs for 0 now");
    assertEquals(session.rewindBytes, 0);
    let bytes = 0;
    for (const [i, id] of ids(60).entries()) {
      await session.step(id);
      assert(session.rewindable >= Math.min(8, i + 1) && session.rewindable <= 16);
      assert(session.rewindBytes === (i < 8 ? 0 : 2 * session.stateBytes));
      if (i === 30) bytes = model.deviceBytes;
    }
    assertEquals(model.deviceBytes, bytes);
    assertThrows(() => session.rewind(17), RangeError, "Cannot rewind 17 inputs");
    assertThrows(() => session.rewind(-1), RangeError, "expected a whole number");
    assertEquals(session.position, 60);
    session.reset();
    assertThrows(() => session.rewind(1), RangeError, "for 0 now");
    using none = model.createSession({ rewind: 0 });
    await none.step(1);
    assertThrows(() => none.rewind(1), RangeError, "for 0 now, and for at least 0");
    assertThrows(() => model.createSession({ rewind: 1.5 }), RangeError, "rewind is 1.5");
  },
);
