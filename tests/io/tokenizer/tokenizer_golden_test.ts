import { assert, assertEquals } from "@std/assert";
import { loadTokenizer, type Tokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { goldenPath, readGoldenJson } from "../../golden_files.ts";
import { Random } from "../../../src/checks/random.ts";

/** Text, its ids, and what they decode to, by the reference implementation; tools/golden_tokenizers.py says more. */
type Case = [text: string, ids: number[], decoded: string];

const CASES = readGoldenJson<Record<"neox" | "llama", Case[]>>("tokenizers", "cases.json");
const load = (name: string) =>
  loadTokenizer(Deno.readTextFileSync(goldenPath("tokenizers", `${name}.json`)), name);

function streamed(tokenizer: Tokenizer, ids: readonly number[]): string {
  const stream = tokenizer.stream();
  const pieces = ids.map((id) => stream.push(id));
  for (const piece of pieces) assert(piece.isWellFormed(), JSON.stringify(piece));
  return pieces.join("") + stream.flush();
}

for (const name of ["neox", "llama"] as const) {
  Deno.test(`loadTokenizer() gives the reference's ids and texts in the form of ${name}`, () => {
    const tokenizer = load(name);
    assert(CASES[name].length > 20);
    for (const [text, ids, decoded] of CASES[name]) {
      assertEquals(tokenizer.encode(text), ids, JSON.stringify(text));
      assertEquals(tokenizer.decode(ids), decoded, JSON.stringify(text));
      assertEquals(streamed(tokenizer, ids), decoded, JSON.stringify(text));
    }
  });
}

/** Where the difficult characters are: controls, marks that combine, all widths of UTF-8, private and unassigned ones. */
const RANGES = [
  ...[[0x20, 0x7e], [0x20, 0x20], [0, 0x1f], [0x7f, 0xa0], [0xa1, 0x24f], [0x300, 0x36f]],
  ...[[0x370, 0x3ff], [0x590, 0x6ff], [0x900, 0x97f], [0xe00, 0xe7f], [0x1100, 0x11ff]],
  ...[[0x2000, 0x206f], [0x3000, 0x30ff], [0x4e00, 0x9fff], [0xac00, 0xd7a3], [0xe000, 0xe0ff]],
  ...[[0xf900, 0xfaff], [0xfe00, 0xffff], [0x10000, 0x100ff], [0x1d400, 0x1d7ff]],
  ...[[0x1f1e6, 0x1f9ff], [0x20000, 0x2fa1f], [0xe0000, 0xe01ef], [0x10ff00, 0x10ffff]],
];

function randomText(random: Random): string {
  let text = "";
  for (let run = Math.floor(random.next() * 12); run >= 0; run--) {
    const [low = 0, high = 0] = RANGES[Math.floor(random.next() * RANGES.length)] ?? [];
    for (let i = Math.floor(random.next() * 6); i >= 0; i--) {
      text += String.fromCodePoint(low + Math.floor(random.next() * (high - low + 1)));
    }
  }
  return text;
}

Deno.test("decode() of encode() is any Unicode text after NFC, streamed or whole", () => {
  const tokenizer = load("neox");
  const random = new Random(1);
  for (let i = 0; i < 3000; i++) {
    const text = randomText(random);
    const ids = tokenizer.encode(text);
    assertEquals(tokenizer.decode(ids), text.normalize("NFC"), JSON.stringify(text));
    assertEquals(streamed(tokenizer, ids), text.normalize("NFC"), JSON.stringify(text));
  }
});

Deno.test("a stream that continues keeps the first space, and begins so again after flush()", () => {
  const tokenizer = load("llama");
  const [, ...ids] = tokenizer.encode("state of");
  const first = tokenizer.stream();
  assertEquals(ids.map((id) => first.push(id)).join("") + first.flush(), "state of");
  const stream = tokenizer.stream({ continues: true });
  for (let i = 0; i < 3; i++) {
    assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), " state of");
  }
  // So it does in the middle of a text that is longer than what a stream keeps in mind.
  const long = tokenizer.encode("state of ".repeat(100)).slice(1);
  assertEquals(long.map((id) => stream.push(id)).join(""), ` ${"state of ".repeat(100)}`);
  const neox = load("neox");
  const bytes = neox.stream({ continues: true });
  assertEquals(neox.encode(" the 🙂").map((id) => bytes.push(id)).join(""), " the 🙂");
});

// The published tokenizer is not part of this project: SLITHER_GPT_NEOX is a folder with 20B_tokenizer.json and
// ggml-prompts-gpt-neox.txt, whose lines are "text => id,id,...".
const published = Deno.env.get("SLITHER_GPT_NEOX");
if (published !== undefined) {
  Deno.test("loadTokenizer() gives the published ids of GPT-NeoX", () => {
    const path = `${published}/20B_tokenizer.json`;
    const tokenizer = loadTokenizer(Deno.readTextFileSync(path), path);
    assertEquals(tokenizer.vocabSize, 50277);
    const lines = Deno.readTextFileSync(`${published}/ggml-prompts-gpt-neox.txt`)
      .split("\n").filter((line) => line !== "");
    assertEquals(lines.length, 100);
    for (const line of lines) {
      const at = line.lastIndexOf(" => ");
      const text = line.slice(0, at);
      assertEquals(tokenizer.encode(text), line.slice(at + 4).split(",").map(Number), text);
      assertEquals(tokenizer.decode(tokenizer.encode(text)), text.normalize("NFC"));
    }
    const random = new Random(2);
    for (let i = 0; i < 1000; i++) {
      const text = randomText(random).normalize("NFC");
      assertEquals(streamed(tokenizer, tokenizer.encode(text)), text);
    }
  });
}
