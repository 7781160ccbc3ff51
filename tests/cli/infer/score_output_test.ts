import { assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import {
  scoresToJson,
  scoresToLines,
  summarize,
} from "../../../src/cli/infer/score/score_output.ts";
import type { Model } from "../../../src/engine/model.ts";
import type { TokenScore } from "../../../src/engine/score.ts";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";

/** What the output needs of a model whose tokenizer has these parts. */
function modelOf(parts: object): Model {
  const tokenizer = loadTokenizer(JSON.stringify(parts), "t");
  const model: Pick<Model, "tokenizer"> = { tokenizer };
  return Object.assign(Object.create(null), model);
}

/** Scores of one bit a token, none for the first. */
function scoresOf(model: Model, text: string): TokenScore[] {
  return (model.tokenizer?.encode(text) ?? []).map((id, i) => ({
    id,
    logprob: i === 0 ? NaN : -Math.LN2,
    rank: i === 0 ? NaN : 0,
    entropy: i === 0 ? NaN : 1,
  }));
}

const SPACES = { type: "Metaspace", replacement: "_", prepend_scheme: "always" };
const SPACED = {
  pre_tokenizer: SPACES,
  decoder: SPACES,
  model: { type: "BPE", vocab: { _: 0, a: 1, b: 2 }, merges: [] },
};
const KEPT = { type: "BPE", vocab: { a: 0, b: 1, "é": 2 }, merges: [] };

Deno.test("scoresToJson() and scoresToLines() give texts of tokens that join to the text, spaces too", () => {
  const model = modelOf(SPACED), scores = scoresOf(model, "ab a b");
  const summary = summarize([scores], "ab a b", model);
  const { scores: found } = Object(scoresToJson([scores], false, summary, model));
  assertEquals(found.map(({ text }: { text: string }) => text).join(""), "ab a b");
  assertStringIncludes(
    scoresToLines([scores], model),
    '0\t-1.0000\t0\t" "'.replace("1.0000", "0.6931"),
  );
});

Deno.test("summarize() counts the bytes that were scored, and no others", () => {
  const model = modelOf({ decoder: { type: "Fuse" }, model: KEPT });
  const bits = (text: string, of = model) => summarize([scoresOf(of, text)], text, of).bitsPerByte;
  // One bit for b and one for the two bytes of é; the first token is foreseen by nothing.
  assertAlmostEquals(bits("abé") ?? NaN, 2 / 3);
  assertAlmostEquals(bits("a☃b☃☃é☃") ?? NaN, 2 / 3);
  // An unknown token stands for bytes that nobody can count.
  const unknown = modelOf({
    decoder: { type: "Fuse" },
    model: { ...KEPT, vocab: { ...KEPT.vocab, "<unk>": 3 }, unk_token: "<unk>" },
  });
  assertEquals(bits("a☃b", unknown), undefined);
});
