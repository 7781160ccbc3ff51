import { assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { tokenizedIds } from "../../../src/io/datasets/tokenized_file.ts";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { goldenPath } from "../../golden_files.ts";

const WORDS = [
  "the ",
  "snake",
  " slithers",
  "\n\n",
  "  ",
  "é",
  "语",
  "😀",
  "x".repeat(300),
  "12.5, ",
];

/** A text that is more than some pieces, with long runs that have no place to cut. */
function anyText(seed: number, words: number): string {
  const random = new Random(seed);
  return Array.from({ length: words }, () => WORDS[Math.floor(random.next() * WORDS.length)]).join(
    "",
  );
}

for (const name of ["neox", "llama"]) {
  const path = goldenPath(`tokenizers/${name}.json`);
  Deno.test(`tokenizedIds() are the ids of the whole part, by any range of them, of ${name}`, async () => {
    const tokenizer = loadTokenizer(await Deno.readTextFile(path), path);
    const file = await Deno.makeTempFile();
    try {
      for (const words of [1, 20, 2000]) {
        const [before, text, after] = ["\ufeff语 ", anyText(words, words), "語 and more"];
        await Deno.writeTextFile(file, before + text + after);
        const encoder = new TextEncoder();
        const start = encoder.encode(before).length, end = start + encoder.encode(text).length;
        const expected = tokenizer.encode(text);
        const found = await tokenizedIds({ path: file, start, end }, tokenizer);
        assertEquals(found.length, expected.length);
        assertEquals([...Array.from(found.subarray(0, found.length))], expected);
        const random = new Random(words);
        for (let i = 0; i < 40; i++) {
          const from = Math.floor(random.next() * expected.length);
          const to = Math.min(expected.length, from + Math.floor(random.next() * 400));
          assertEquals(Array.from(found.subarray(from, to)), expected.slice(from, to));
        }
      }
      const held = await tokenizedIds({ path: file, start: 3, end: 3000 }, tokenizer);
      await Deno.truncate(file, 1000);
      assertThrows(
        () => held.subarray(0, held.length),
        RangeError,
        "it has changed since training began with it",
      );
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("tokenizedIds() says how many ids are like the first", async () => {
  const path = goldenPath("tokenizers/neox.json");
  const tokenizer = loadTokenizer(await Deno.readTextFile(path), path);
  const file = await Deno.makeTempFile();
  try {
    for (const [text, run] of [["\n", 1], ["1 1 1", 1], ["", 0]] as const) {
      await Deno.writeTextFile(file, text);
      const { firstRun } = await tokenizedIds(
        { path: file, start: 0, end: text.length },
        tokenizer,
      );
      assertEquals(firstRun, run);
    }
  } finally {
    await Deno.remove(file);
  }
});
