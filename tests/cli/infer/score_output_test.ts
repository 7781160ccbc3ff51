import { assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { createScoreOutput, ScoreSums } from "../../../src/cli/infer/score/score_output.ts";
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

/** What is printed of sequences, as text or as JSON. */
function print(model: Model, sequences: readonly TokenScore[][], form: object): string {
  let text = "";
  const all = { isShort: false, isJson: false, nested: false, ...form };
  const output = createScoreOutput(all, model, (more) => text += more);
  const sums = new ScoreSums(undefined, model);
  for (const scores of sequences) {
    for (const score of scores) {
      sums.add(score.id, score.logprob);
      output.add(score);
    }
    output.endSequence();
  }
  output.end(sums.summary());
  return text;
}

Deno.test("createScoreOutput() gives texts of tokens that join to the text, spaces too", () => {
  const model = modelOf(SPACED), scores = scoresOf(model, "ab a b");
  const { scores: found } = JSON.parse(print(model, [scores], { isJson: true }));
  assertEquals(found.map(({ text }: { text: string }) => text).join(""), "ab a b");
  assertStringIncludes(print(model, [scores], {}), '0\t-0.6931\t0\t" "');
});

Deno.test("createScoreOutput() writes one object of all sequences as they come, and the sums alone", () => {
  const model = modelOf(SPACED), scores = [scoresOf(model, "ab"), scoresOf(model, "b")];
  const sums = { scored: 3, natsPerToken: Math.LN2, perplexity: 2 };
  const object = (text: string, id: number, isFirst: boolean) =>
    isFirst
      ? { id, text, logprob: null, rank: null, entropy: null }
      : { id, text, logprob: -Math.LN2, rank: 0, entropy: 1 };
  const sequences = [
    { scores: [object("", 0, true), object("a", 1, false), object("b", 2, false)] },
    { scores: [object("", 0, true), object("b", 2, false)] },
  ];
  const nested = print(model, scores, { isJson: true, nested: true });
  assertEquals(nested, `${JSON.stringify({ sequences, ...sums })}\n`);
  const [first] = sequences;
  const own = { ...sums, scored: 2 };
  assertEquals(
    print(model, scores.slice(0, 1), { isJson: true }),
    `${JSON.stringify({ ...first, ...own })}\n`,
  );
  assertEquals(print(model, scores, { isJson: true, isShort: true }), `${JSON.stringify(sums)}\n`);
  assertEquals(
    print(model, scores, { isShort: true }),
    "scored tokens 3\nnats per token 0.6931\nperplexity 2.0000\n",
  );
});

Deno.test("ScoreSums counts the bytes that were scored, and no others", () => {
  const model = modelOf({ decoder: { type: "Fuse" }, model: KEPT });
  const bits = (text: string, of = model) => {
    const sums = new ScoreSums(text, of);
    for (const score of scoresOf(of, text)) sums.add(score.id, score.logprob);
    return sums.summary().bitsPerByte;
  };
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
