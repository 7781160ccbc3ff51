import { assert, assertEquals } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { classifyStream } from "../../src/engine/classify.ts";
import { StreamSession } from "../../src/engine/stream_session.ts";
import type { Model } from "../../mod.ts";
import { assertClose } from "../assert_close.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const RANDOM = new Random(3);
const STEPS = Array.from({ length: 80 }, () => RANDOM.normal(3));

function open(model: Model, rewind: number): StreamSession {
  const session = model.createSession({ rewind });
  if (session instanceof StreamSession) return session;
  throw new TypeError("createSession() gives another kind of session");
}

eachBackend(
  "classifyStream() leaves a session behind the last step that it told",
  async (loadModel) => {
    using model = await loadModel(goldenPath("classifier"));
    const next = STEPS[0] ?? new Float32Array(3);
    for (const rewind of [0, 40]) {
      for (const told of [1, 5, 32, 33, 70, 80]) {
        using session = open(model, rewind), other = open(model, 0);
        for await (const { step } of classifyStream(session, STEPS, model.config)) {
          if (step === told) break;
        }
        assertEquals(session.position, told);
        await other.prefill(Float32Array.from(STEPS.slice(0, told).flatMap((step) => [...step])));
        const limits = { rtol: 1e-4, atol: 1e-5, name: `after ${told} of ${rewind}` };
        assertClose(await session.step(next), await other.step(next), limits);
      }
    }
  },
);

eachBackend(
  "classifyStream() that is sure, or aborted, has fed no more than it told",
  async (loadModel) => {
    using model = await loadModel(goldenPath("classifier"));
    using session = open(model, 32);
    const all = await Array.fromAsync(classifyStream(session, STEPS, model.config));
    assertEquals([all.length, session.position], [80, 80]);
    session.reset();
    const confident = Math.max(
      ...all.slice(0, 50).flatMap(({ probabilities }) => [...probabilities]),
    );
    const some = await Array.fromAsync(
      classifyStream(session, STEPS, model.config, { confident: confident * (1 - 1e-5) }),
    );
    assert(some.length <= 50);
    assertEquals(session.position, some.length);
    session.reset();
    const controller = new AbortController();
    let told = 0;
    try {
      const { signal } = controller;
      for await (const { step } of classifyStream(session, STEPS, model.config, { signal })) {
        told = step;
        if (step === 7) controller.abort();
      }
    } catch {
      // Its reason.
    }
    assertEquals([told, session.position], [7, 7]);
  },
);
