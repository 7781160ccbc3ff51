import { assertEquals, assertThrows } from "@std/assert";
import {
  charactersOf,
  characterTokenizer,
  decodeText,
  encodeCharacters,
  splitText,
} from "../../../src/io/datasets/text.ts";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";

const SHAKESPEARE = new URL("../../../../shared/data/text/tinyshakespeare.txt", import.meta.url);
const SAMPLE = ' a\n\nZé😀 e\u0301 "\\ z!\t\r\n0 19 \u0000日本🏳️‍🌈  ';

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}

Deno.test("decodeText() names the first byte that is not UTF-8", () => {
  assertEquals(decodeText(new TextEncoder().encode(SAMPLE), "x"), SAMPLE);
  assertEquals(decodeText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), "x"), "a");
  const cases: [number[], string][] = [
    [[], 'Cannot read "x": it is empty, expected text'],
    // Latin-1's é looks like the first of three bytes.
    [[0x61, 0xe9, 0x62], "byte 1 is 0xe9, which is not UTF-8 there"],
    [[0x61, 0xe2, 0x82, 0x62], "byte 1 is 0xe2"],
    [[0x61, 0xff], "byte 1 is 0xff"],
    [[0x61, 0x62, 0xc3], "byte 2 is 0xc3"],
    [[0xff, 0xfe, 0x61, 0x00], "byte 0 is 0xff"],
  ];
  for (const [bytes, message] of cases) {
    assertThrows(() => decodeText(Uint8Array.from(bytes), "x"), SyntaxError, message);
  }
});

Deno.test("charactersOf() sorts the characters by code point", () => {
  assertEquals(charactersOf("b😀a\nb😀\uffee"), ["\n", "a", "b", "\uffee", "😀"]);
  assertEquals(charactersOf(""), []);
});

Deno.test("encodeCharacters() equals the tokenizer that characterTokenizer() writes", () => {
  const characters = charactersOf(SAMPLE);
  const tokenizer = loadTokenizer(characterTokenizer(characters), "tokenizer.json");
  const ids = encodeCharacters(SAMPLE, characters);
  assertEquals([...ids], tokenizer.encode(SAMPLE));
  assertEquals(ids.length, [...SAMPLE].length);
  assertEquals(tokenizer.decode([...ids]), SAMPLE);
  assertEquals(tokenizer.vocabSize, characters.length);
  const stream = tokenizer.stream();
  assertEquals([...ids].map((id) => stream.push(id)).join("") + stream.flush(), SAMPLE);
});

Deno.test("characterTokenizer() leaves out what its vocabulary lacks, and encodeCharacters() refuses it", () => {
  const tokenizer = loadTokenizer(characterTokenizer(["a", "b"]), "tokenizer.json");
  assertEquals(tokenizer.encode("a☃b\n"), [0, 1]);
  assertThrows(
    () => encodeCharacters("a☃b", ["a", "b"]),
    RangeError,
    'the vocabulary of 2 characters lacks "☃"',
  );
});

Deno.test("splitText() gives the first 90% of the characters, rounded down", () => {
  assertEquals(splitText("0123456789"), { train: "012345678", validation: "9" });
  assertEquals(splitText("😀1234567😀9a"), { train: "😀1234567😀", validation: "9a" });
  assertEquals(splitText("a"), { train: "", validation: "a" });
});

Deno.test({
  name: "splitText() splits tiny Shakespeare as nanoGPT does",
  ignore: !await exists(SHAKESPEARE),
  async fn() {
    const text = decodeText(await Deno.readFile(SHAKESPEARE), "tinyshakespeare.txt");
    const { train, validation } = splitText(text);
    const characters = charactersOf(text);
    assertEquals([train.length, validation.length, characters.length], [1003854, 111540, 65]);
    assertEquals(train + validation, text);
    // What nanoGPT's prepare.py prints for this text.
    assertEquals(
      characters.join(""),
      "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    );
    const tokenizer = loadTokenizer(characterTokenizer(characters), "tokenizer.json");
    const part = text.slice(0, 20_000);
    assertEquals(tokenizer.encode(part), [...encodeCharacters(part, characters)]);
  },
});

Deno.test("encodeCharacters() takes no more bytes for an id than the vocabulary needs", () => {
  const characters = (count: number) =>
    Array.from({ length: count }, (_, i) => String.fromCodePoint(0x10000 + i));
  for (const [count, bytes] of [[256, 1], [257, 2], [65_536, 2], [65_537, 4]] as const) {
    const all = characters(count);
    const ids = encodeCharacters(all.slice(-3).join(""), all);
    assertEquals([...ids], [count - 3, count - 2, count - 1]);
    assertEquals(ids.BYTES_PER_ELEMENT, bytes);
  }
});
