import { assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openFile } from "../../src/io/file_source.ts";

Deno.test("fromBytes() reads a range as a copy", async () => {
  const bytes = Uint8Array.of(9, 1, 2, 3).subarray(1);
  const source = fromBytes("x", bytes);
  const read = await source.read(1, 2);
  assertEquals([...read], [2, 3]);
  read[0] = 7;
  assertEquals([...bytes], [1, 2, 3]);
  assertEquals((await source.read(3, 0)).length, 0);
});

Deno.test("fromBytes() refuses what is not inside it", async () => {
  const source = fromBytes("x", new Uint8Array(4));
  for (
    const [offset, length] of [[0, 5], [4, 1], [-1, 1], [0, -1], [0.5, 1], [NaN, 1], [2 ** 60, 1]]
  ) {
    await assertRejects(async () => await source.read(offset ?? 0, length ?? 0), RangeError, '"x"');
  }
});

Deno.test("openFile() reads overlapping ranges asked for at once", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, Uint8Array.from({ length: 100_000 }, (_, i) => i % 251));
    using source = await openFile(path);
    assertEquals(source.sizeBytes, 100_000);
    const offsets = [90_000, 5, 50_000, 0, 99_990];
    const reads = await Promise.all(offsets.map((offset) => source.read(offset, 10)));
    reads.forEach((read, i) => {
      assertEquals([...read], Array.from({ length: 10 }, (_, k) => ((offsets[i] ?? 0) + k) % 251));
    });
    await assertRejects(() => source.read(99_991, 10), RangeError, "100000 bytes held");
    await Deno.truncate(path, 50);
    await assertRejects(() => source.read(40, 20), RangeError, "ended at byte 50");
    source[Symbol.dispose]();
    await assertRejects(() => source.read(0, 1), TypeError, "closed");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("openFile() takes a URL and refuses a folder", async () => {
  using source = await openFile(new URL(import.meta.url));
  assertEquals(new TextDecoder().decode(await source.read(0, 6)), "import");
  await assertRejects(() => openFile(new URL(".", import.meta.url)), TypeError, "folder");
});
