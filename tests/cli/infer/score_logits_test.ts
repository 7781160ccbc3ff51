import { assertAlmostEquals, assertEquals } from "@std/assert";
import { scoreLogits } from "../../../src/cli/infer/score/score_logits.ts";
import { tokenScore } from "../../../src/checks/reference/token_score.ts";

Deno.test("scoreLogits() agrees with the reference for every token of a row", () => {
  const logits = Float32Array.of(1.5, -3, 1.5, 80, 0, -Infinity, 79.5);
  for (const id of logits.keys()) {
    const expected = tokenScore(logits, id);
    const found = scoreLogits(logits, id);
    assertEquals(found.rank, expected.rank);
    assertAlmostEquals(found.entropy, expected.entropy, 1e-12);
    if (Number.isFinite(expected.logprob)) {
      assertAlmostEquals(found.logprob, expected.logprob, 1e-12);
    } else assertEquals(found.logprob, expected.logprob);
  }
});

Deno.test("scoreLogits() says that a padding id cannot come", () => {
  assertEquals(scoreLogits(Float32Array.of(0, 0), 5).logprob, -Infinity);
});
