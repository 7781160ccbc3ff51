import { assertEquals, assertThrows } from "@std/assert";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";

/** Every byte is one token: the byte-level alphabet is printable ASCII and Latin-1, then from U+0100 on. */
function byteTokenizer(addedTokens: unknown[] = []): Record<string, unknown> {
  const vocab: Record<string, number> = {};
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    vocab[String.fromCodePoint(printable ? byte : next++)] = byte;
  }
  return {
    version: "1.0",
    added_tokens: addedTokens,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: [] },
  };
}

const END = {
  id: 256,
  content: "<|end|>",
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
};

/** A seeded generator, so that a failure repeats. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

Deno.test("Tokenizer.stream() never splits a character of several tokens", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer()), "bytes");
  const stream = tokenizer.stream();
  const ids = tokenizer.encode("a🙂é");
  assertEquals(ids, [...new TextEncoder().encode("a🙂é")]);
  assertEquals(ids.map((id) => stream.push(id)), ["a", "", "", "", "🙂", "", "é"]);
  assertEquals(stream.flush(), "");
});

Deno.test("Tokenizer.decode() puts any number of bytes together", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer()), "bytes");
  // From few to more than there is room for at once, and to few again.
  for (const length of [0, 1, 1023, 1024, 1025, 2000, 1]) {
    const text = "a🙂é\n".repeat(length);
    assertEquals(tokenizer.decode([...new TextEncoder().encode(text)]), text);
  }
});

Deno.test("Tokenizer.stream() equals decode() for any bytes, and ends with the unfinished ones", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer([END])), "bytes");
  const next = random(2);
  for (let i = 0; i < 100; i++) {
    // Mostly first and middle bytes of long characters: many are broken, some are whole.
    const ids = Array.from({ length: 150 }, () => {
      const kind = next();
      if (kind < 0.05) return END.id;
      if (kind < 0.2) return 0x41;
      return kind < 0.7 ? 0x80 + Math.floor(next() * 64) : 0xe0 + Math.floor(next() * 21);
    });
    for (const skipSpecialTokens of [false, true]) {
      const stream = tokenizer.stream({ skipSpecialTokens });
      const streamed = ids.map((id) => stream.push(id)).join("") + stream.flush();
      assertEquals(streamed, tokenizer.decode(ids, { skipSpecialTokens }));
      let together = "";
      for (let at = 0; at < ids.length;) {
        const count = Math.floor(next() * 200);
        together += stream.push(...ids.slice(at, at + count));
        at += count;
      }
      assertEquals(together + stream.flush(), streamed);
    }
  }
  const stream = tokenizer.stream();
  assertEquals(stream.push(0xf0) + stream.push(0x9f), "");
  assertEquals(stream.flush(), "\ufffd");
  assertEquals(stream.push(0x41), "A");
});

Deno.test("Tokenizer.stream() keeps an unfinished character over ids that show no text", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer([END])), "bytes");
  const stream = tokenizer.stream({ skipSpecialTokens: true });
  assertEquals(stream.push(0xe2) + stream.push(0x82), "");
  for (let i = 0; i < 100; i++) assertEquals(stream.push(END.id) + stream.push(300), "");
  assertEquals(stream.push(0xac), "€");
});

Deno.test("Tokenizer.decode() shows special tokens unless they are skipped", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer([END])), "bytes");
  assertEquals(tokenizer.encode("a<|end|>b"), [0x61, 256, 0x62]);
  assertEquals(tokenizer.decode([0x61, 256, 0x62]), "a<|end|>b");
  assertEquals(tokenizer.decode([0x61, 256, 0x62], { skipSpecialTokens: true }), "ab");
  assertEquals(tokenizer.vocabSize, 257);
});

Deno.test("Tokenizer.decode() leaves out padding ids, and refuses what is no id", () => {
  const tokenizer = loadTokenizer(JSON.stringify(byteTokenizer()), "bytes");
  assertEquals(tokenizer.decode([]), "");
  assertEquals(tokenizer.encode(""), []);
  assertEquals(tokenizer.decode([0x61, 999, 0x62]), "ab");
  assertThrows(() => tokenizer.decode([1.5]), RangeError, "Cannot decode the id 1.5");
  assertThrows(() => tokenizer.stream().push(-1), RangeError, "Cannot decode the id -1");
});

Deno.test("Tokenizer.encode() leaves out what the vocabulary has no token for", () => {
  const description = byteTokenizer();
  description["model"] = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] };
  description["pre_tokenizer"] = null;
  description["decoder"] = { type: "Fuse" };
  const tokenizer = loadTokenizer(JSON.stringify(description), "two letters");
  assertEquals(tokenizer.encode("abba"), [0, 1, 1, 0]);
  assertEquals(tokenizer.decode([0, 1, 1, 0]), "abba");
  assertEquals(tokenizer.encode("abcb"), [0, 1, 1]);
});

Deno.test("loadTokenizer() refuses what is not a tokenizer, in one clear error", () => {
  assertThrows(
    () => loadTokenizer("{", "t.json"),
    SyntaxError,
    'Cannot read the tokenizer "t.json"',
  );
  const bad: [unknown, string][] = [
    [[], "not a JSON object"],
    [{}, "model is missing"],
    [{ model: { type: "BPE" } }, "model.vocab is not an object"],
    [{ model: { vocab: { a: 0 } } }, "model.type is undefined"],
    [{ model: { type: "BPE", vocab: { a: 0 } } }, "model.merges is not a list"],
    [{ model: { type: "BPE", vocab: { a: 0 }, merges: ["ab"] } }, "model.merges is not a list"],
    [{ model: { type: "Unigram", vocab: [["a"]] } }, "model.vocab is not a list of pairs"],
    [{ model: { type: "BPE", vocab: { a: -1 }, merges: [] } }, 'the id of "a" is -1'],
    [{ model: { type: "BPE", vocab: { a: 1e12 }, merges: [] } }, 'the id of "a" is 1000000000000'],
    [{ model: { type: "BPE", vocab: { a: "0" }, merges: [] } }, 'the id of "a" is "0"'],
    [{ model: { type: "Nonsense", vocab: {}, merges: 7 } }, 'model.type is "Nonsense"'],
    [{ ...byteTokenizer(), added_tokens: 3 }, "added_tokens is not a list"],
    [{ ...byteTokenizer(), added_tokens: [{ id: 1 }] }, "an added token has no content"],
    [{ ...byteTokenizer(), pre_tokenizer: { type: "Nonsense" } }, "Cannot load"],
    [{ ...byteTokenizer(), model: { type: "BPE", vocab: {}, merges: null } }, "Cannot load"],
  ];
  for (const [description, message] of bad) {
    assertThrows(() => loadTokenizer(JSON.stringify(description), "t.json"), TypeError, message);
  }
});
