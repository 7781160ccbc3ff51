import { assert, assertEquals } from "@std/assert";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

/** Runs with a clock on which `ms` pass at every look. */
async function withClock<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const { now } = performance;
  let time = now.call(performance);
  performance.now = () => time += ms;
  try {
    return await work();
  } finally {
    performance.now = now;
  }
}

for (const name of ["mamba2-groups", "classifier"]) {
  eachBackend(
    `results of ${name} do not depend on how long its pieces take, by a bit`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(name));
      const { input } = model.config;
      const ids = Array.from({ length: 330 }, (_, index) => (index * 7 + 1) % 100);
      const inputs = input.kind === "linear"
        ? Float32Array.from({ length: 330 * input.d_input }, (_, index) => Math.sin(index))
        : ids;
      const pieces: number[] = [];
      const run = async (logits: "last" | "all") => {
        using session = model.createSession({ seed: 1 });
        let count = 0;
        const result = await session.prefill(inputs, { logits, onProgress: () => count++ });
        pieces.push(count);
        return [result, await session.snapshot()];
      };
      const expected = [await run("last"), await run("all")];
      // Slow ones, then such as take no time at all, and some between.
      for (const ms of [1000, 0, 0, 0, 7]) {
        const found = await withClock(ms, async () => [await run("last"), await run("all")]);
        assertEquals(found, expected);
      }
      assert(new Set(pieces).size > 1, `always cut alike: ${pieces}`);
    },
  );
}
