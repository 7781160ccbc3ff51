import { assertEquals, assertRejects } from "@std/assert";
import {
  type GenerateOptions,
  generateTokens,
  type TokenSource,
} from "../../src/engine/generate.ts";
import { loadTokenizer } from "../../src/io/tokenizer/tokenizer.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const load = (...path: string[]) =>
  loadTokenizer(Deno.readTextFileSync(goldenPath(...path)), path.join("/"));
/** 256 tokens, one a byte. */
const BYTES = load("mamba1", "tokenizer.json");
const NEOX = load("tokenizers", "neox.json");
const LLAMA = load("tokenizers", "llama.json");

/** A source that draws these ids, in bursts of up to `burst`, and keeps count of what was kept. */
function source(
  ids: readonly number[],
  tokenizer = BYTES,
  burst = 4,
): TokenSource & { kept: number } {
  let drawn = 0;
  return {
    kept: 0,
    eosTokenIds: [0],
    maxDraws: burst,
    tokenizer,
    position: () => drawn,
    draw(steps) {
      const part = ids.slice(drawn, drawn + steps);
      return Promise.resolve({ ids: part, logprobs: part.map(() => -1) });
    },
    snapshot: () => Promise.reject(new Error("nobody asked for a snapshot")),
    keep(_draws, count) {
      drawn += count;
      this.kept += count;
      return Promise.resolve();
    },
  };
}

async function pieces(
  ids: readonly number[],
  options: GenerateOptions = {},
  tokenizer = BYTES,
): Promise<string[]> {
  const from = source(ids, tokenizer);
  const tokens = generateTokens(from, { maxTokens: ids.length, ...options });
  const texts = (await Array.fromAsync(tokens)).map(({ text }) => text);
  assertEquals(from.kept, texts.length);
  return texts;
}

const bytes = (text: string) => [...new TextEncoder().encode(text)];

Deno.test("generateTokens() goes on without end where maxTokens is Infinity, and refuses what is no count", async () => {
  const tokens = generateTokens(source([5, 6, 7, 0, 8]), { maxTokens: Infinity });
  assertEquals((await Array.fromAsync(tokens)).map(({ id }) => id), [5, 6, 7, 0]);
  for (const maxTokens of [-1, 1.5, NaN, -Infinity]) {
    const none = generateTokens(source([5]), { maxTokens });
    await assertRejects(() => none.next(), RangeError, "it must be a whole number, or Infinity");
  }
});

Deno.test("generateTokens() gives whole characters alone", async () => {
  assertEquals(await pieces(bytes("é🙂!")), ["", "é", "", "", "", "🙂", "!"]);
  // The last token ends the text, whatever is unfinished.
  assertEquals(await pieces(bytes("🙂").slice(0, 3)), ["", "", "\ufffd"]);
  assertEquals(await pieces([...bytes("🙂").slice(0, 3), 65, 66]), ["", "", "", "\ufffdA", "B"]);
});

Deno.test("generateTokens() gives texts with runs of spaces and special tokens as they are", async () => {
  for (const text of ["a\n        b  c   ", "  <|padding|>  x<|padding|>", " é  ½\u0085 🙂🙂"]) {
    const ids = NEOX.encode(text);
    assertEquals((await pieces(ids, {}, NEOX)).join(""), text);
  }
});

Deno.test("generateTokens() keeps a space at the beginning: the prompt comes before it", async () => {
  const [, ...ids] = LLAMA.encode("the state");
  assertEquals((await pieces(ids, {}, LLAMA)).join(""), " the state");
});

Deno.test("generateTokens() ends before a stop text, wherever token borders lie", async () => {
  const stopped: [string, string[], string[]][] = [
    // What may be the beginning of a stop text is held back until it is one or not.
    ["abcd", ["bc"], ["a", "", ""]],
    ["abab!", ["abx"], ["", "", "ab", "", "ab!"]],
    ["aaaab", ["aab"], ["", "", "a", "a", ""]],
    ["abcde", ["cd", "bcz"], ["a", "", "", "b"]],
    ["xyz", ["zz", "yz"], ["x", "", ""]],
    ["a🙂b", ["🙂"], ["a", "", "", "", ""]],
    ["end", ["d"], ["e", "n", ""]],
    ["en", ["end"], ["", "en"]],
    ["line\n\nmore", ["\n\n"], ["l", "i", "n", "e", "", ""]],
  ];
  for (const [text, stop, expected] of stopped) {
    assertEquals(await pieces(bytes(text), { stop }), expected, `${text} ${stop}`);
  }
  // One token may hold all of it, and more.
  const ids = NEOX.encode("that the state");
  const whole = (await pieces(ids, { stop: ["he s"] }, NEOX)).join("");
  assertEquals(whole, "that t");
});

Deno.test("generateTokens() gives what was held back when an end-of-sequence id comes", async () => {
  assertEquals(await pieces([...bytes("ab"), 0, 65], { stop: ["abc"] }), ["", "", "ab"]);
  assertEquals(await pieces([...bytes("🙂").slice(0, 2), 0, 65]), ["", "", "\ufffd"]);
  assertEquals(await pieces([97, 98, 99], { stopIds: [98] }), ["a", ""]);
});

eachBackend(
  "generate() never gives an id of a row that only pads the vocabulary",
  async (loadModel) => {
    // 253 ids in a table of 256 rows, drawn as evenly as settings allow until each has come: some 1,500 draws.
    using model = await loadModel(goldenPath("mamba1-raw"));
    using session = model.createSession({ temperature: 100, seed: 1 });
    await session.prefill([1]);
    const seen = new Set<number>();
    for (let count = 0; seen.size < 253 && count < 5000;) {
      // It ends at each end-of-sequence id, and goes on after it.
      for await (const { id } of session.generate({ maxTokens: 100 })) {
        seen.add(id);
        count++;
      }
    }
    assertEquals([seen.size, Math.max(...seen)], [253, 252]);
  },
);
