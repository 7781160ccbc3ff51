import { assert, assertEquals } from "@std/assert";
import { loadTokenizer, type Tokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { characterTokenizer } from "../../../src/io/datasets/text.ts";
import { goldenPath, readGoldenJson } from "../../golden_files.ts";

interface Golden {
  readonly models: Readonly<Record<string, object>>;
  readonly texts: readonly string[];
  readonly cases: readonly { readonly model: string; readonly results: unknown }[];
}

const GOLDEN = readGoldenJson<Golden>("tokenizers", "settings.json");
const CASES = readGoldenJson<Record<"neox" | "llama", [string, number[], string][]>>(
  ...["tokenizers", "cases.json"] as const,
);
const load = (name: string) =>
  loadTokenizer(Deno.readTextFileSync(goldenPath("tokenizers", `${name}.json`)), name);

/** Ids of a text that comes in parts of `size` characters, and the text that the stream said they are of. */
function streamed(tokenizer: Tokenizer, text: string, size: number): [number[], string] {
  const stream = tokenizer.encodeStream();
  const characters = [...text];
  const parts = [];
  for (let at = 0; at < characters.length; at += size) {
    parts.push(stream.push(characters.slice(at, at + size).join("")));
  }
  parts.push(stream.flush());
  return [parts.flatMap(({ ids }) => [...ids]), parts.map(({ text }) => text).join("")];
}

Deno.test("Tokenizer.encodeStream() gives the ids of the whole text at every setting, wherever it is cut", () => {
  let compared = 0;
  for (const { model, results: _results, ...parts } of GOLDEN.cases) {
    const name = `${model} ${JSON.stringify(parts)}`;
    const json = JSON.stringify({ ...parts, model: GOLDEN.models[model] });
    const tokenizer = loadTokenizer(json, name);
    for (const text of GOLDEN.texts) {
      for (const size of [1, 3]) {
        const expected: [number[], string] = [tokenizer.encode(text), text];
        assertEquals(streamed(tokenizer, text, size), expected, `${name}: ${JSON.stringify(text)}`);
        compared++;
      }
    }
  }
  assert(compared > 1000, `${compared}`);
});

for (const name of ["neox", "llama"] as const) {
  Deno.test(`Tokenizer.encodeStream() gives the ids of texts and of lines in the form of ${name}`, () => {
    const tokenizer = load(name);
    const texts = CASES[name].map(([text]) => text);
    const long = Array.from({ length: 40 }, (_, i) => texts[i % texts.length]).join(" \n");
    for (const text of [...texts, long]) {
      for (const size of [1, 7]) {
        const [ids, whole] = streamed(tokenizer, text, size);
        assertEquals(whole, text);
        assertEquals(ids, tokenizer.encode(text), JSON.stringify(text.slice(0, 80)));
      }
    }
  });
}

Deno.test("Tokenizer.encodeStream() holds back a word, and with characters for tokens nothing", () => {
  const words = load("neox").encodeStream();
  assertEquals(words.push("two wor").text, "two");
  assertEquals(words.push("ds\n").text, " words");
  assertEquals(words.push("").ids, []);
  assertEquals(words.settle().text, "\n");
  assertEquals(words.settle().ids, []);
  const characters = loadTokenizer(characterTokenizer(["a", "b"]), "characters").encodeStream();
  assertEquals(characters.push("ab"), { text: "ab", ids: [0, 1] });
  assertEquals(characters.push("ba"), { text: "ba", ids: [1, 0] });
});

Deno.test("Tokenizer.encodeStream() holds back no more than 64 thousand characters", () => {
  const stream = load("neox").encodeStream();
  let given = 0;
  for (let i = 0; i < 40; i++) given += stream.push("x".repeat(10_000)).text.length;
  assert(given > 400_000 - 2 ** 16 - 10_000, `${given}`);
});

Deno.test("Tokenizer.encodeStream() that continues has nothing before its ids", () => {
  const tokenizer = load("llama");
  const text = "and so on.";
  const stream = tokenizer.encodeStream({ continues: true });
  const ids = [...stream.push(text).ids, ...stream.flush().ids];
  assertEquals(tokenizer.encode(`x${text}`).slice(-ids.length), ids);
});
