/** Sessions of one model that are served together: no bit depends on who else is there. */

import { assert, assertEquals } from "@std/assert";
import type { GeneratedToken, GenerateOptions, Model, Session } from "../../mod.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

/** What each of some sessions does: prompts, samplers and lengths of their own. */
const STREAMS: readonly (GenerateOptions & { readonly prompt: readonly number[] })[] = [
  { prompt: [1, 2, 3], maxTokens: 70, temperature: 0 },
  { prompt: [4], maxTokens: 1, seed: 1 },
  { prompt: [5, 6], maxTokens: 33, seed: 2, topK: 5 },
  { prompt: [7, 8, 9, 10], maxTokens: 64, seed: 3, topP: 0.7, temperature: 0.8 },
  { prompt: [1, 2, 3], maxTokens: 50, seed: 3, minP: 0.1, repetitionPenalty: 1.3 },
  { prompt: [11], maxTokens: 2, seed: 5 },
  { prompt: [12, 13], maxTokens: 40, seed: 3, temperature: 2 },
  { prompt: [120, 1], maxTokens: 64, seed: 3, temperature: 2, stopIds: [7] },
  { prompt: [99], maxTokens: 57, seed: 6 },
];

/** The tokens of one stream, and the state that it ends with. */
async function runStream(model: Model, { prompt, ...options }: (typeof STREAMS)[number]) {
  using session = model.createSession();
  await session.prefill(prompt, { logits: "none" });
  const tokens: GeneratedToken[] = await Array.fromAsync(session.generate(options));
  return { tokens, state: await stateOf(session) };
}

async function stateOf(session: Session) {
  const { state, position, draws } = await session.snapshot();
  return { position, draws, arrays: state.map(({ name, bytes }) => ({ name, bytes })) };
}

for (const folder of ["mamba1", "mamba2"]) {
  eachBackend(`${folder} draws the same alone and in company`, async (loadModel) => {
    using model = await loadModel(goldenPath(folder));
    const alone = [];
    for (const stream of STREAMS) alone.push(await runStream(model, stream));
    for (const count of [STREAMS.length, 2, 3]) {
      const streams = STREAMS.slice(0, count);
      const together = await Promise.all(streams.map((stream) => runStream(model, stream)));
      assertEquals(together, alone.slice(0, count));
    }
  });
}

eachBackend("single steps give the same alone and in company", async (loadModel) => {
  using language = await loadModel(goldenPath("mamba1"));
  using classifier = await loadModel(goldenPath("classifier"));
  const random = Float32Array.from({ length: 3 * 12 }, (_, i) => Math.sin(i * i));
  for (const [model, width] of [[language, 1], [classifier, 3]] as const) {
    const run = async (start: number) => {
      using session = model.createSession();
      const results: Float32Array[] = [];
      for (let step = 0; step < 6; step++) {
        const at = start + step;
        const input = width === 1 ? at * 5 : random.subarray(width * at, width * (at + 1));
        results.push(await session.step(input));
      }
      return { results, state: await stateOf(session) };
    };
    const starts = [0, 1, 2, 3, 4, 5, 6];
    const alone = [];
    for (const start of starts) alone.push(await run(start));
    assertEquals(await Promise.all(starts.map(run)), alone);
  }
});

eachBackend("of a company some are disposed and one is stopped meanwhile", async (loadModel) => {
  using model = await loadModel(goldenPath("mamba1"));
  const [first, second] = [defined(STREAMS[3]), defined(STREAMS[8])];
  const expected = [await runStream(model, first), await runStream(model, second)];
  const before = model.deviceBytes;
  const leave = async (taken: number) => {
    using session = model.createSession({ seed: 9 });
    await session.prefill([1], { logits: "none" });
    let count = 0;
    for await (const _ of session.generate({ maxTokens: 64 })) if (++count === taken) break;
    return session.position;
  };
  const dispose = async () => {
    const session = model.createSession({ seed: 9 });
    await session.prefill([1], { logits: "none" });
    const tokens = Array.fromAsync(session.generate({ maxTokens: Infinity }));
    setTimeout(() => session[Symbol.dispose](), 1);
    return await tokens.then(() => "ended", (error: Error) => error.message);
  };
  const results = await Promise.all([
    runStream(model, first),
    leave(1),
    dispose(),
    runStream(model, second),
    leave(6),
    dispose(),
  ]);
  assertEquals([results[0], results[3]], expected);
  assertEquals([results[1], results[4]], [1, 6]);
  const message = "Cannot generate: the session is disposed";
  assertEquals([results[2], results[5]], [message, message]);
  assert(model.deviceBytes <= before + 2 ** 20, "states are left");
});

eachBackend("a session whose logits are broken ends alone", async (loadModel) => {
  using model = await loadModel(goldenPath("mamba1"));
  const stream = defined(STREAMS[0]);
  const expected = await runStream(model, stream);
  using session = model.createSession();
  await session.prefill([1], { logits: "none" });
  const snapshot = await session.snapshot();
  // Numbers that are finite still, and no longer after a step.
  const large = new Uint8Array(new Float32Array([3e38]).buffer);
  for (const { name, bytes } of snapshot.state) {
    if (name.endsWith("ssm_state")) {
      for (let at = 0; at < bytes.length; at += 4) bytes.set(large, at);
    }
  }
  session.restore(snapshot);
  const broken = Array.fromAsync(session.generate({ maxTokens: 40 }))
    .then(() => "ended", (error: Error) => error.message);
  const [result] = await Promise.all([runStream(model, stream), broken]);
  assertEquals(result, expected);
  assertEquals(await broken, "Cannot draw a token: the logits of draw 1 are not finite");
});
