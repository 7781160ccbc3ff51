/** What sessions do, with models of Mamba-3: states of four parts, and an MLP in each block. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import { BACKENDS, eachBackend, loadOn } from "./each_backend.ts";

const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6];

for (const folder of ["mamba3-siso", "mamba3-mimo"]) {
  eachBackend(`a snapshot of ${folder} goes on with the same tokens`, async (loadModel) => {
    using model = await loadModel(goldenPath(folder));
    using session = model.createSession();
    await session.prefill(PROMPT);
    const snapshot = await session.snapshot();
    const settings = { maxTokens: 12, seed: 5 };
    const ids = async () => (await Array.fromAsync(session.generate(settings))).map(({ id }) => id);
    const first = await ids();
    session.restore(snapshot);
    assertEquals(await ids(), first);
  });

  Deno.test(`a state of ${folder} crosses over from one executor to the other`, async () => {
    using one = await loadOn(BACKENDS[0], goldenPath(folder));
    using other = await loadOn(BACKENDS[1], goldenPath(folder));
    using from = one.createSession();
    using to = other.createSession();
    await from.prefill(PROMPT);
    to.restore(await from.snapshot());
    const [found, expected] = [await to.step(7), await from.step(7)];
    const largest = expected.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
    assertClose(found, expected, { rtol: 0, atol: 1e-5 * largest, name: "logits" });
  });

  eachBackend(
    `sessions of ${folder} at the same time draw what each draws alone`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(folder));
      const draw = async (seed: number) => {
        const tokens = model.generate(PROMPT.slice(seed), { maxTokens: 10, seed });
        return (await Array.fromAsync(tokens)).map(({ id, logprob }) => [id, logprob]);
      };
      const seeds = [0, 1, 2];
      const alone = [];
      for (const seed of seeds) alone.push(await draw(seed));
      assertEquals(await Promise.all(seeds.map(draw)), alone);
    },
  );

  // Small random weights lose more by int4 than trained ones of a real width.
  for (const [dtype, least] of [["int8", 0.999], ["int4", 0.85]] as const) {
    eachBackend(`${folder} as ${dtype} is close to what it was`, async (loadModel) => {
      using model = await loadModel(goldenPath(folder));
      using quantized = await loadModel(goldenPath(folder), { dtype });
      const [a, b] = await Promise.all([model, quantized].map(async (each) => {
        using session = each.createSession();
        return defined(await session.prefill(PROMPT, { logits: "last" }));
      }));
      const [wanted, found] = [defined(a), defined(b)];
      const dot = (x: Float32Array, y: Float32Array) =>
        x.reduce((sum, value, i) => sum + value * (y[i] ?? NaN), 0);
      const cosine = dot(wanted, found) / Math.sqrt(dot(wanted, wanted) * dot(found, found));
      assert(cosine > least, `the cosine is ${cosine}`);
    });
  }
}

Deno.test("loadModel() takes the activation of A from the caller, of Mamba-3 alone", async () => {
  const logits = async (A_activation?: "heavy_tail" | "softplus") => {
    using model = await loadModel(goldenPath("mamba3-siso"), { backend: "cpu", A_activation });
    using session = model.createSession();
    return [...defined(await session.prefill(PROMPT, { logits: "last" }))];
  };
  assertEquals(await logits(), await logits("heavy_tail"));
  assert((await logits("softplus")).join() !== (await logits()).join());
  await assertRejects(
    () => loadModel(goldenPath("mamba1"), { backend: "cpu", A_activation: "softplus" }),
    TypeError,
    'A_activation is "softplus", and a model of Mamba-1 leaves no such choice',
  );
});
