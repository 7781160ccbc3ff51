import { assert, assertEquals } from "@std/assert";
import { decodeSnapshot, encodeSnapshot, type Session } from "../../mod.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson, readGoldenTensors, tensorData } from "../golden_files.ts";
import { BACKENDS, loadOn } from "./each_backend.ts";

/** Of a logit, and of the largest one: f32 sums in another order, through every layer and step. */
const LOGITS = 1e-4;

function assertLogitsClose(actual: Float32Array, expected: Float32Array, name: string): void {
  const largest = expected.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
  assertClose(actual, expected, { rtol: LOGITS, atol: LOGITS * largest, name });
}

/** Takes a snapshot to the file's bytes and back into another session. */
async function carry(from: Session, to: Session): Promise<void> {
  to.restore(await decodeSnapshot(encodeSnapshot(await from.snapshot())));
}

const MODELS = ["mamba1", "mamba1-odd-bf16", "falcon-mamba", "mamba2-groups", "codestral"];

for (const name of MODELS) {
  for (const [source, target] of [BACKENDS, BACKENDS.toReversed()]) {
    Deno.test(`a snapshot of ${name} taken on ${source} continues on ${target}`, async () => {
      using first = await loadOn(defined(source), goldenPath(name));
      using second = await loadOn(defined(target), goldenPath(name));
      const ids = readGoldenJson<number[]>(name, "ids.json");
      const [head, tail] = [ids.slice(0, 23), ids.slice(23)];
      using straight = first.createSession({ seed: 11, repetitionPenalty: 1.2 });
      await straight.prefill(head);
      using crossed = second.createSession();
      await carry(straight, crossed);
      // What is carried is carried to the bit, as is what a file has of it.
      assertEquals(
        encodeSnapshot(await crossed.snapshot()),
        encodeSnapshot(await straight.snapshot()),
      );
      const expected = defined(await straight.prefill(tail, { logits: "all" }));
      const got = defined(await crossed.prefill(tail, { logits: "all" }));
      assertLogitsClose(got, expected, "logits after the snapshot");
      assertLogitsClose(
        await crossed.step(defined(ids[0])),
        await straight.step(defined(ids[0])),
        "logits of a step",
      );
    });
  }
}

Deno.test("draws after a snapshot go on with its seed on the other executor", async () => {
  const ids = readGoldenJson<number[]>("mamba1", "ids.json");
  for (const [source, target] of [BACKENDS, BACKENDS.toReversed()]) {
    using first = await loadOn(defined(source), goldenPath("mamba1"));
    using second = await loadOn(defined(target), goldenPath("mamba1"));
    // Far from where a threshold falls between two tokens, both draw the same.
    using straight = first.createSession({ seed: 5, temperature: 0.7, topK: 20 });
    await straight.prefill(ids);
    const draw = async (session: Session, maxTokens: number) =>
      (await Array.fromAsync(session.generate({ maxTokens }))).map(({ id }) => id);
    await draw(straight, 9);
    using crossed = second.createSession();
    await carry(straight, crossed);
    assertEquals(await draw(crossed, 12), await draw(straight, 12));
  }
});

Deno.test("a classifier's running mean crosses over", async () => {
  const { inputs } = tensorData(readGoldenTensors("classifier", "expected.safetensors"));
  const all = defined(inputs);
  for (const [source, target] of [BACKENDS, BACKENDS.toReversed()]) {
    using first = await loadOn(defined(source), goldenPath("classifier"));
    using second = await loadOn(defined(target), goldenPath("classifier"));
    using straight = first.createSession();
    await straight.prefill(all.subarray(0, 12));
    using crossed = second.createSession();
    await carry(straight, crossed);
    const expected = defined(await straight.prefill(all.subarray(12)));
    const got = defined(await crossed.prefill(all.subarray(12)));
    assertLogitsClose(got, expected, "class logits");
    assert(first.backend !== second.backend);
  }
});
