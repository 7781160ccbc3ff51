import { assertEquals, assertThrows } from "@std/assert";
import { isIdx, parseIdx } from "../../../src/io/datasets/idx.ts";
import { parseIdxImages, parseIdxLabels } from "../../../src/io/datasets/image_dataset.ts";

/** An IDX file of one element type, with the values as they come. */
function idx(type: number, shape: number[], body: number[]): Uint8Array {
  const sizes = shape.flatMap((
    size,
  ) => [size >>> 24, size >>> 16 & 255, size >>> 8 & 255, size & 255]);
  return Uint8Array.of(0, 0, type, shape.length, ...sizes, ...body);
}

Deno.test("parseIdx() reads every element type, big-endian", () => {
  assertEquals(parseIdx(idx(0x08, [2, 2], [1, 2, 3, 255]), "x"), {
    shape: [2, 2],
    data: Uint8Array.of(1, 2, 3, 255),
  });
  assertEquals(parseIdx(idx(0x09, [1], [255]), "x").data, Int8Array.of(-1));
  assertEquals(parseIdx(idx(0x0b, [2], [1, 0, 255, 254]), "x").data, Int16Array.of(256, -2));
  assertEquals(parseIdx(idx(0x0c, [1], [0, 1, 0, 0]), "x").data, Int32Array.of(65536));
  assertEquals(parseIdx(idx(0x0d, [1], [0xc0, 0x20, 0, 0]), "x").data, Float32Array.of(-2.5));
  assertEquals(
    parseIdx(idx(0x0e, [1], [0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), "x").data,
    Float64Array.of(1.5),
  );
  assertEquals(parseIdx(idx(0x08, [0], []), "x").data.length, 0);
});

Deno.test("parseIdx() reads a view that does not begin at its buffer's start, and copies", () => {
  const padded = Uint8Array.of(9, 9, 9, ...idx(0x08, [2], [7, 8]));
  const { data } = parseIdx(padded.subarray(3), "x");
  assertEquals(data, Uint8Array.of(7, 8));
  padded.fill(0);
  assertEquals(data, Uint8Array.of(7, 8));
});

Deno.test("parseIdx() refuses hostile bytes in one clear error", () => {
  const max = 0xffffffff;
  const bad: [Uint8Array, string][] = [
    [new Uint8Array(0), "0 bytes"],
    [Uint8Array.of(0, 0, 8), "3 bytes"],
    [Uint8Array.of(0x1f, 0x8b, 8, 0), "it begins with 1f 8b 08 00"],
    [idx(0x0a, [1], [1]), "it begins with 00 00 0a 01"],
    [Uint8Array.of(0, 0, 8, 0), "0 dimensions"],
    [Uint8Array.of(0, 0, 8, 255), "255 dimensions"],
    [Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 1), "needs 12"],
    [idx(0x08, [3], [1, 2]), "needs 11 bytes, and the file has 10: the download may be incomplete"],
    [idx(0x08, [1], [1, 2]), "needs 9 bytes, and the file has 10"],
    [idx(0x08, [max, max, max], [1]), "needs"],
    [idx(0x0e, [max, max, max, max, max, max, max, max], []), "needs"],
    [idx(0x0c, [0x40000000, 4], [1]), "needs"],
  ];
  for (const [bytes, message] of bad) {
    const error = assertThrows(() => parseIdx(bytes, "evil"), SyntaxError, message);
    assertEquals(error.message.startsWith('Cannot read "evil" as IDX: '), true);
  }
});

Deno.test("isIdx() tells IDX from other files", () => {
  assertEquals(isIdx(idx(0x08, [1], [1])), true);
  assertEquals(isIdx(Uint8Array.of(0x89, 0x50, 0x4e, 0x47)), false);
  assertEquals(isIdx(new Uint8Array(2)), false);
});

Deno.test("parseIdxImages() takes bytes of three or four dimensions", () => {
  const { count, height, width, channels, images } = parseIdxImages(
    idx(0x08, [2, 1, 2], [1, 2, 3, 4]),
    "x",
  );
  assertEquals([count, height, width, channels, ...images], [2, 1, 2, 1, 1, 2, 3, 4]);
  assertEquals(parseIdxImages(idx(0x08, [1, 1, 1, 3], [1, 2, 3]), "x").channels, 3);
  const bad = [
    idx(0x08, [4], [1, 2, 3, 4]),
    idx(0x08, [1, 1, 1, 2], [1, 2]),
    idx(0x08, [1, 0, 0], []),
    idx(0x09, [1, 1, 1], [1]),
  ];
  for (const bytes of bad) {
    assertThrows(() => parseIdxImages(bytes, "x"), SyntaxError, 'Cannot read "x" as images');
  }
});

Deno.test("parseIdxLabels() refuses a label out of range", () => {
  assertEquals(parseIdxLabels(idx(0x08, [3], [0, 9, 5]), "x", 10), Uint8Array.of(0, 9, 5));
  assertThrows(
    () => parseIdxLabels(idx(0x08, [3], [0, 10, 5]), "x", 10),
    SyntaxError,
    "label 1 is 10, expected 0 to 9",
  );
  assertThrows(() => parseIdxLabels(idx(0x08, [1, 1], [0]), "x", 10), SyntaxError, "as labels");
});
