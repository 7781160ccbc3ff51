import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { charactersOf, decodeText, encodeCharacters } from "../../../src/io/datasets/text.ts";
import { fileIds, scanTextFile } from "../../../src/io/datasets/text_file.ts";

async function withBytes(bytes: Uint8Array, run: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("scanTextFile() and fileIds() are what a text in memory gives", async () => {
  const random = new Random(4);
  const letters = ["a", "b", "\r\n", "é", "语", "😀", "\0", "z".repeat(50)];
  // More than a piece, so that characters are cut between two.
  for (const count of [3, 100_000]) {
    let text = "";
    for (let i = 0; i < count; i++) text += letters[Math.floor(random.next() * letters.length)];
    await withBytes(encode(`\ufeff${text}`), async (path) => {
      const scanned = await scanTextFile(path);
      const characters = charactersOf(text);
      const ids = encodeCharacters(text, characters);
      assertEquals(scanned.characters, characters);
      assertEquals(scanned.characterCount, ids.length);
      assertEquals(scanned.lineEnds, text.split("\r\n").length - 1);
      assertEquals(scanned.nuls, text.split("\0").length - 1);
      const all = fileIds(scanned, { start: 0, end: ids.length });
      assertEquals(Uint32Array.from(all.subarray(0, ids.length)), Uint32Array.from(ids));
      for (let i = 0; i < 50; i++) {
        const start = Math.floor(random.next() * ids.length);
        const end = Math.min(ids.length, start + Math.floor(random.next() * 300));
        const part = fileIds(scanned, { start, end: ids.length });
        assertEquals(part.length, ids.length - start);
        assertEquals([...Array.from(part.subarray(0, end - start))], [...ids.subarray(start, end)]);
      }
    });
  }
});

Deno.test("scanTextFile() refuses what the decoder refuses, by the same byte", async () => {
  await withBytes(new Uint8Array(), async (path) => {
    await assertRejects(() => scanTextFile(path), SyntaxError, "it is empty");
  });
  const bad = [[0xff], [0x80], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80]];
  bad.push([0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [
    0xe8,
    0xaf,
  ]);
  for (const sequence of bad) {
    const bytes = new Uint8Array([...encode("aé"), ...sequence]);
    const { message } = assertThrows(() => decodeText(bytes, "text"), SyntaxError);
    await withBytes(bytes, async (path) => {
      const found = await assertRejects(() => scanTextFile(path), SyntaxError);
      assertEquals((found as Error).message.replace(path, "text"), message, String(sequence));
    });
  }
});

Deno.test("scanTextFile() accepts and refuses any bytes as the decoder does", async () => {
  const random = new Random(9);
  const source = encode("aé语😀\r\n".repeat(3));
  await withBytes(source, async (path) => {
    for (let i = 0; i < 600; i++) {
      const bytes = source.slice();
      for (let n = 0; n < 2; n++) {
        bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
      }
      await Deno.writeFile(path, bytes);
      let text: string | undefined;
      try {
        text = decodeText(bytes, path);
      } catch (error) {
        assert(error instanceof SyntaxError);
      }
      const scanned = await scanTextFile(path).catch((error) => {
        if (error instanceof SyntaxError) return undefined;
        throw error;
      });
      assertEquals(scanned?.characters, text === undefined ? undefined : charactersOf(text));
    }
  });
});

Deno.test("fileIds() notices that the file has changed", async () => {
  await withBytes(encode("abcabcabc"), async (path) => {
    const ids = fileIds(await scanTextFile(path), { start: 0, end: 9 });
    await Deno.writeTextFile(path, "abcXbcabc");
    assertThrows(() => ids.subarray(2, 6), RangeError, "it has changed");
    await Deno.writeTextFile(path, "abc");
    assertThrows(() => ids.subarray(2, 6), RangeError, "it has changed");
    assertEquals([...Array.from(ids.subarray(0, 3))], [0, 1, 2]);
  });
});
