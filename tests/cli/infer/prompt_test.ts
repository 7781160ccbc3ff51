import { assertEquals, assertStringIncludes } from "@std/assert";
import { feedPrompt } from "../../../src/cli/infer/prompt.ts";
import { loadModel } from "../../../mod.ts";
import { assertClose } from "../../assert_close.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

const IDS = Array.from({ length: 300 }, (_, index) => (index * 7 + 1) % 100);

Deno.test("feedPrompt() shows how far a long prompt is, and nothing of a quick one", async () => {
  for (const [secondsAPiece, lines] of [[10, true], [0.01, false]] as const) {
    const terminal = new FakeTerminal();
    let seconds = 0;
    const pieces: number[] = [];
    const session = {
      prefill: (inputs: ArrayLike<number>) => {
        pieces.push(...Array.from(inputs));
        seconds += secondsAPiece;
        return Promise.resolve(undefined);
      },
    };
    await feedPrompt(session, IDS, { isSoftware: true }, terminal, () => seconds * 1000);
    assertEquals(pieces, IDS);
    if (lines) {
      assertStringIncludes(
        terminal.stderr,
        "Reading the prompt: 128 of 300 tokens, 12.8/s, 13 s left\n",
      );
    } else assertEquals(terminal.stderr, "");
  }
});

Deno.test("feedPrompt() leaves the state that one call of prefill does", async () => {
  using model = await loadModel("tests/golden/mamba1");
  using whole = model.createSession();
  using pieces = model.createSession();
  await whole.prefill(IDS);
  await feedPrompt(pieces, IDS, model, new FakeTerminal());
  assertEquals(pieces.position, IDS.length);
  assertClose(await pieces.step(1), await whole.step(1), {
    rtol: 1e-4,
    atol: 1e-4,
    name: "logits after the prompt",
  });
});
