import { assertEquals, assertRejects } from "@std/assert";
import { encodeSnapshot, loadModel } from "../../mod.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson } from "../golden_files.ts";

for (const name of ["mamba1", "mamba1-odd-bf16", "falcon-mamba", "mamba2-groups"]) {
  for (const dtype of ["auto", "int8", "int4"] as const) {
    Deno.test(`1 thread, 2, 3 and as many as help give the same bits for ${name} as ${dtype}`, async () => {
      const ids = readGoldenJson<number[]>(name, "ids.json");
      const results: unknown[] = [];
      for (const threads of [1, 2, 3, undefined]) {
        using model = await loadModel(goldenPath(name), { backend: "cpu", dtype, threads });
        using session = model.createSession({ seed: 4, topK: 30 });
        const logits = defined(await session.prefill(ids, { logits: "all" }));
        const scores = await session.score(ids.slice(0, 9));
        const tokens = await Array.fromAsync(session.generate({ maxTokens: 300 }));
        results.push({ logits, scores, tokens, end: encodeSnapshot(await session.snapshot()) });
      }
      for (const result of results.slice(1)) assertEquals(result, results[0]);
    });
  }
}

Deno.test("loadModel() says which number of threads it takes, and its device how many there are", async () => {
  await assertRejects(
    () => loadModel(goldenPath("mamba1"), { backend: "cpu", threads: 0 }),
    RangeError,
    "Cannot load the model: threads is 0, and it must be a whole number from 1",
  );
  using one = await loadModel(goldenPath("mamba1"), { backend: "cpu", threads: 1 });
  assertEquals(one.device.startsWith("CPU, 1 thread, SIMD"), true, one.device);
  using two = await loadModel(goldenPath("mamba1"), { backend: "cpu", threads: 2 });
  assertEquals(two.device.startsWith("CPU, 2 threads, SIMD"), true, two.device);
});
