import { assertEquals, assertStringIncludes } from "@std/assert";
import { feedPrompt } from "../../../src/cli/infer/prompt.ts";
import { type Inputs, loadModel, type PrefillOptions } from "../../../mod.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import "../../settle_readbacks.ts";

const IDS = Array.from({ length: 300 }, (_, index) => (index * 7 + 1) % 100);

Deno.test("feedPrompt() shows how far a long prompt is, and nothing of a quick one", async () => {
  const cases = [
    [10, "cpu", "Reading the prompt: 128 of 300 tokens, 12.8/s, 13 s left\n"],
    // The first piece may have compiled kernels: no rate, and no time left, comes of it.
    [10, "webgpu", "Reading the prompt: 128 of 300 tokens\n"],
    [0.01, "cpu", undefined],
    [0.01, "webgpu", undefined],
  ] as const;
  for (const [secondsAPiece, backend, line] of cases) {
    const terminal = new FakeTerminal();
    let seconds = 0;
    const fed: number[] = [];
    const session = {
      prefill: (inputs: Inputs, { onProgress }: PrefillOptions = {}) => {
        fed.push(...inputs);
        for (let done = 0; done < inputs.length;) {
          seconds += secondsAPiece;
          done = Math.min(done + 128, inputs.length);
          onProgress?.(done);
        }
        return Promise.resolve(undefined);
      },
    };
    await feedPrompt({ backend }, session, IDS, terminal, () => seconds * 1000);
    assertEquals(fed, IDS);
    if (line === undefined) assertEquals(terminal.stderr, "");
    else assertStringIncludes(terminal.stderr, line);
  }
});

Deno.test("feedPrompt() leaves the bits of one call of prefill, and so generates what model.generate() does", async () => {
  using model = await loadModel("tests/golden/mamba1");
  using whole = model.createSession({ seed: 1 });
  using fed = model.createSession({ seed: 1 });
  await whole.prefill(IDS);
  await feedPrompt(model, fed, IDS, new FakeTerminal());
  assertEquals(fed.position, IDS.length);
  assertEquals(await fed.snapshot(), await whole.snapshot());
  const options = { maxTokens: 20, seed: 1 };
  assertEquals(
    await Array.fromAsync(fed.generate(options)),
    await Array.fromAsync(model.generate(IDS, options)),
  );
});
