import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { readGoldenJson } from "../../golden_files.ts";

/** Parts of a tokenizer.json, and what the reference makes of each text: tools/golden_tokenizer_settings.py says more. */
interface Case {
  readonly model: string;
  readonly results: readonly (readonly [ids: readonly number[], decoded: string])[];
  readonly [part: string]: unknown;
}

interface Golden {
  readonly models: Readonly<Record<string, object>>;
  readonly texts: readonly string[];
  readonly cases: readonly Case[];
}

const GOLDEN = readGoldenJson<Golden>("tokenizers", "settings.json");

Deno.test("loadTokenizer() gives the reference's ids and texts at every setting", () => {
  assert(GOLDEN.cases.length > 100);
  for (const { model, results, ...parts } of GOLDEN.cases) {
    const json = JSON.stringify({ ...parts, model: GOLDEN.models[model] });
    const name = `${model} ${JSON.stringify(parts)}`;
    const tokenizer = loadTokenizer(json, name);
    for (const [i, text] of GOLDEN.texts.entries()) {
      const [ids, decoded] = results[i] ?? [];
      assertEquals(tokenizer.encode(text), ids, `${name}: ${JSON.stringify(text)}`);
      assertEquals(tokenizer.decode(ids ?? []), decoded, `${name}: ${JSON.stringify(text)}`);
    }
  }
});

/** What tells what a tokenizer.json of words is, with other settings. */
function words(parts: object): string {
  return JSON.stringify({
    model: { type: "WordLevel", unk_token: "?", vocab: { "?": 0, a: 1 } },
    ...parts,
  });
}

Deno.test("loadTokenizer() refuses by name what would give other ids than the reference", () => {
  const pairs = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] };
  const metaspace = { type: "Metaspace", replacement: "_", add_prefix_space: false };
  const refused: [object, string][] = [
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "" } }, "normalizer.type"],
    [{ normalizer: { type: "Sequence", normalizers: [{ type: "Nmt" }] } }, "normalizers[0].type"],
    [{ pre_tokenizer: { type: "UnicodeScripts" } }, "pre_tokenizer.type"],
    [{ pre_tokenizer: metaspace }, "pre_tokenizer.add_prefix_space"],
    [{ pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Removed" } }, "pattern"],
    [
      { pre_tokenizer: { type: "Split", pattern: { String: "-" }, behavior: "Kept" } },
      'pre_tokenizer.behavior is "Kept"',
    ],
    [{ post_processor: { type: "Other" } }, "post_processor.type"],
    [{ decoder: { type: "CTC" } }, "decoder.type"],
    [{ model: { ...pairs, dropout: 0.1 } }, "model.dropout is 0.1"],
    [{ model: { ...pairs, continuing_subword_prefix: "##" } }, "model.continuing_subword_prefix"],
    [{ model: { ...pairs, unk_token: "x" } }, "model.unk_token"],
    [{ model: { type: "Other" } }, "model.type"],
    [{ padding: { strategy: { Fixed: 8 } } }, "padding.strategy"],
    [{ padding: { strategy: "BatchLongest", pad_to_multiple_of: 8 } }, "pad_to_multiple_of"],
    [{ added_tokens: [{ id: 2, content: "x", lstrip: 1 }] }, "added_tokens[0].lstrip"],
  ];
  for (const [parts, expected] of refused) {
    assertThrows(() => loadTokenizer(words(parts), "t"), TypeError, expected);
  }
});

Deno.test("encode() says which piece a vocabulary without an unknown token does not have", () => {
  const model = { type: "WordLevel", unk_token: "?", vocab: { a: 0 } };
  const tokenizer = loadTokenizer(JSON.stringify({ model }), "t");
  assertEquals(tokenizer.encode("a"), [0]);
  assertThrows(() => tokenizer.encode("b"), RangeError, 'Cannot encode "b"');
});

Deno.test("encode() loses nothing to a tokenizer's truncation: it refuses what is longer", () => {
  const pre_tokenizer = { type: "WhitespaceSplit" }, truncation = { max_length: 2, stride: 0 };
  const padding = { strategy: "BatchLongest", pad_to_multiple_of: null };
  const tokenizer = loadTokenizer(words({ pre_tokenizer, truncation, padding }), "t");
  assertEquals(tokenizer.encode("a b"), [1, 0]);
  assertThrows(() => tokenizer.encode("a b a"), RangeError, 'truncation.max_length of "t" is 2');
});
