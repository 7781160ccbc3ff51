/** Texts that are cut before they are encoded, and must not show it. */

import { assert, assertEquals } from "@std/assert";
import { BPE } from "npm:@huggingface/tokenizers@0.2.0";
import { Random } from "../../../src/checks/random.ts";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";

/** Long enough for several cuts. */
const LENGTH = 40_000;

/** Words of some characters, one of them of two code units, and one in no vocabulary here. */
function someText(alphabet: string): string {
  const random = new Random(1);
  const characters = [...alphabet];
  let text = "";
  while (text.length < LENGTH) text += characters[Math.floor(random.next() * characters.length)];
  return text;
}

/** All ids as one call, and as they come. */
function encodeBoth(parts: object, text: string): number[] {
  const tokenizer = loadTokenizer(JSON.stringify(parts), "t");
  const ids = tokenizer.encode(text);
  const pieces = [...tokenizer.encodeInPieces(text)];
  assert(pieces.length > 3, `${pieces.length} pieces`);
  assertEquals(pieces.flat(), ids);
  return ids;
}

Deno.test("encode() merges pairs of a text without words as it does in the whole", () => {
  const vocab: Record<string, number> = {};
  const merges = ["a b", "ab c", "b c", "_ a", "_ ab", "_ _", "c 🙂", "a a", "aa aa", "aaaa aa"];
  for (const token of ["_", "a", "b", "c", "🙂", ...merges.map((pair) => pair.replace(" ", ""))]) {
    vocab[token] ??= Object.keys(vocab).length;
  }
  for (const hasUnknown of [false, true]) {
    const all = hasUnknown ? { ...vocab, "?": Object.keys(vocab).length } : vocab;
    const unknown = hasUnknown ? { unk_token: "?", fuse_unk: true } : {};
    const settings = { type: "BPE" as const, vocab: all, merges, ignore_merges: false, ...unknown };
    const text = someText("aaabbcc__🙂é");
    // What has no token is left out first, where nothing stands for it.
    const known = hasUnknown ? text : text.replaceAll("é", "");
    const whole = new BPE(settings)([known]).map((token: string) => all[token] ?? -1);
    assertEquals(encodeBoth({ model: settings }, text), whole);
  }
});

/** The likeliest way, without any cut. */
function bestPath(vocab: readonly (readonly [string, number])[], text: string): number[] {
  const best: { score: number; begin: number; id: number }[] = [{ score: 0, begin: 0, id: 0 }];
  const ids = new Map(vocab.map(([token], id) => [token, id]));
  for (let begin = 0; begin < text.length; begin++) {
    for (let length = 1; length <= 4; length++) {
      const id = ids.get(text.slice(begin, begin + length)), before = best[begin];
      if (id === undefined || before === undefined || begin + length > text.length) continue;
      const score = before.score + (vocab[id]?.[1] ?? 0), other = best[begin + length];
      if (other === undefined || score > other.score) best[begin + length] = { score, begin, id };
    }
  }
  const path: number[] = [];
  for (let end = text.length; end > 0;) {
    const { begin, id } = best[end] ?? { begin: end - 1, id: -1 };
    path.push(id);
    end = begin;
  }
  return path.reverse();
}

Deno.test("encode() takes the likeliest way through a text without words, among equal ones too", () => {
  // ab + c and a + bc are the same but for rounding, which depends on all that is before.
  const vocab = [["?", -9], ["a", -1.3], ["b", -1.7], ["c", -1.9], ["_", -0.9], ["ab", -1.1], [
    "bc",
    -0.5,
  ]] as const;
  const text = someText("aabbcc__");
  const ids = encodeBoth({ model: { type: "Unigram", vocab, unk_id: 0 } }, text);
  assertEquals(ids, bestPath(vocab, text));
});

Deno.test("encodeInPieces() takes little memory beside the text", async () => {
  const code = `
    import { charactersOf, characterTokenizer } from "./src/io/datasets/text.ts";
    import { loadTokenizer } from "./src/io/tokenizer/tokenizer.ts";
    const text = "So it goes. ".repeat(2 ** 18);
    const tokenizer = loadTokenizer(characterTokenizer(charactersOf(text)), "t");
    let count = 0;
    for (const ids of tokenizer.encodeInPieces(text)) count += ids.length;
    console.log(count === text.length);
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // A list of the text's characters would be 25 MB, and of its pieces several times that.
    args: ["eval", "--no-lock", "--v8-flags=--max-old-space-size=24", code],
    cwd: new URL("../../../", import.meta.url),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(text(stdout), "true\n", text(stderr));
});
