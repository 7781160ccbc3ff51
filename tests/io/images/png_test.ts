import { assertEquals, assertRejects } from "@std/assert";
import { decodePng, isPng } from "../../../src/io/images/png.ts";
import { chunk, data, encodePng, file, header } from "./png_file.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

async function pixels(png: Uint8Array, width: number, height: number, channels: number) {
  return [...(await decodePng(png, "test.png", { width, height, channels })).pixels];
}

Deno.test("decodePng() reads grey, and repeats it for RGB", async () => {
  const png = encodePng(2, 2, 0, bytes(0, 100, 200, 255));
  assertEquals(isPng(png), true);
  assertEquals(await pixels(png, 2, 2, 1), [0, 100, 200, 255]);
  assertEquals(await pixels(png, 2, 2, 3), [0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]);
});

Deno.test("decodePng() reads RGB, and weighs it for grey", async () => {
  const png = encodePng(2, 2, 2, bytes(255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30));
  assertEquals(await pixels(png, 2, 2, 3), [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30]);
  assertEquals(await pixels(png, 2, 2, 1), [76, 150, 29, 18]);
});

Deno.test("decodePng() undoes filters", async () => {
  // Row 1 stores differences to the left, row 2 differences to the row above.
  const rows = bytes(1, 10, 5, 5, 2, 1, 2, 3);
  const png = file(header(3, 2, 8, 0), data(rows));
  assertEquals(await pixels(png, 3, 2, 1), [10, 15, 20, 11, 17, 23]);
});

Deno.test("decodePng() spreads low bit depths over 0 to 255, and cuts 16 bits to 8", async () => {
  const oneBit = file(header(3, 2, 1, 0), data(bytes(0, 0b10100000, 0, 0b01000000)));
  assertEquals(await pixels(oneBit, 3, 2, 1), [255, 0, 255, 0, 255, 0]);
  const fourBits = file(header(3, 1, 4, 0), data(bytes(0, 0x0f, 0x80)));
  assertEquals(await pixels(fourBits, 3, 1, 1), [0, 255, 136]);
  const sixteen = file(header(2, 1, 16, 0), data(bytes(0, 0x12, 0xff, 0xfe, 0x01)));
  assertEquals(await pixels(sixteen, 2, 1, 1), [0x12, 0xfe]);
});

Deno.test("decodePng() looks up palettes", async () => {
  const palette = chunk("PLTE", bytes(1, 2, 3, 40, 50, 60, 7, 8, 9));
  const png = file(header(3, 1, 2, 3), palette, data(bytes(0, 0b10_01_00_00)));
  assertEquals(await pixels(png, 3, 1, 3), [7, 8, 9, 40, 50, 60, 1, 2, 3]);
});

Deno.test("decodePng() reads interlaced images", async () => {
  // 2 x 2: pass 1 holds (0, 0), pass 6 (1, 0), pass 7 the second row.
  const png = file(header(2, 2, 8, 0, 1), data(bytes(0, 1, 0, 2, 0, 3, 4)));
  assertEquals(await pixels(png, 2, 2, 1), [1, 2, 3, 4]);
});

Deno.test("decodePng() reads interlaced images of any depth, and palettes", async () => {
  // 5 x 5 of 2 bits: all seven passes have pixels but the second, which begins at column 4.
  const image = Array.from({ length: 25 }, (_, i) => (i * 7 + (i >> 2)) % 4);
  const at = (x: number, y: number) => image[y * 5 + x] ?? 0;
  const passes = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [
    1,
    0,
    2,
    2,
  ]];
  const rows: number[] = [];
  for (const [x0 = 0, y0 = 0, dx = 1, dy = 1] of [...passes, [0, 1, 1, 2]]) {
    for (let y = y0; y < 5; y += dy) {
      const row: number[] = [];
      for (let x = x0, i = 0; x < 5; x += dx, i++) {
        row[i >> 2] = (row[i >> 2] ?? 0) | at(x, y) << (6 - 2 * (i & 3));
      }
      rows.push(0, ...row);
    }
  }
  const grey = file(header(5, 5, 2, 0, 1), data(bytes(...rows)));
  assertEquals(await pixels(grey, 5, 5, 1), image.map((value) => value * 85));
  const palette = chunk("PLTE", Uint8Array.from({ length: 12 }, (_, i) => i * 20));
  const indexed = file(header(5, 5, 2, 3, 1), palette, data(bytes(...rows)));
  assertEquals(
    await pixels(indexed, 5, 5, 3),
    image.flatMap((value) => [value * 60, value * 60 + 20, value * 60 + 40]),
  );
});

Deno.test("decodePng() takes a transparent color that no pixel has", async () => {
  const grey = file(header(2, 1, 8, 0), chunk("tRNS", bytes(0, 7)), data(bytes(0, 5, 6)));
  assertEquals(await pixels(grey, 2, 1, 1), [5, 6]);
  const wide = file(header(1, 1, 16, 0), chunk("tRNS", bytes(5, 1)), data(bytes(0, 5, 2)));
  assertEquals(await pixels(wide, 1, 1, 1), [5]);
  const rgb = chunk("tRNS", bytes(0, 1, 0, 2, 0, 4));
  assertEquals(await pixels(file(header(1, 1, 8, 2), rgb, data(bytes(0, 1, 2, 3))), 1, 1, 3), [
    1,
    2,
    3,
  ]);
  const indexed = (...row: number[]) =>
    file(
      header(2, 1, 8, 3),
      chunk("PLTE", bytes(1, 1, 1, 2, 2, 2)),
      chunk("tRNS", bytes(0)),
      data(bytes(0, ...row)),
    );
  assertEquals(await pixels(indexed(1, 1), 2, 1, 1), [2, 2]);
  await assertRejects(
    () => pixels(indexed(1, 0), 2, 1, 1),
    RangeError,
    "it has transparent pixels",
  );
});

Deno.test("decodePng() drops an alpha channel that hides nothing, and refuses one that does", async () => {
  assertEquals(await pixels(encodePng(2, 1, 4, bytes(5, 255, 6, 255)), 2, 1, 1), [5, 6]);
  assertEquals(await pixels(encodePng(1, 1, 6, bytes(5, 6, 7, 255)), 1, 1, 3), [5, 6, 7]);
  const key = chunk("tRNS", bytes(0, 5));
  for (
    const png of [
      encodePng(2, 1, 4, bytes(5, 255, 6, 254)),
      encodePng(2, 1, 6, bytes(5, 6, 7, 255, 5, 6, 7, 0)),
      file(header(2, 1, 8, 0), key, data(bytes(0, 5, 6))),
    ]
  ) {
    await assertRejects(() => pixels(png, 2, 1, 1), RangeError, "it has transparent pixels");
  }
});

Deno.test("decodePng() names both sizes where they differ", async () => {
  await assertRejects(
    () => pixels(encodePng(2, 1, 0, bytes(1, 2)), 28, 28, 1),
    RangeError,
    'Cannot use "test.png": the image is 2 x 1, expected 28 x 28, grey',
  );
});

Deno.test("decodePng() refuses more data than the pixels need, before holding it", async () => {
  // 64 MB of zeros in 64 kB.
  const bomb = file(header(2, 2, 8, 0), data(new Uint8Array(64_000_000)));
  const before = Deno.memoryUsage().rss;
  await assertRejects(() => pixels(bomb, 2, 2, 1), SyntaxError, "its data holds more");
  const grown = Deno.memoryUsage().rss - before;
  assertEquals(grown < 32_000_000, true, `memory grew by ${grown} bytes`);
});

Deno.test("decodePng() ignores the chunks that pixels do not depend on", async () => {
  const profile = chunk("iCCP", bytes(0x41, 0, 0, 1, 2, 3));
  const png = file(header(2, 1, 8, 0), profile, chunk("tEXt", bytes(1)), data(bytes(0, 5, 6)));
  assertEquals(await pixels(png, 2, 1, 1), [5, 6]);
});

Deno.test("decodePng() refuses damaged files in one clear error", async () => {
  const good = encodePng(2, 2, 0, bytes(0, 100, 200, 255));
  const wrongChecksum = good.slice();
  wrongChecksum[29] = (wrongChecksum[29] ?? 0) ^ 1;
  const bad: [Uint8Array, string][] = [
    [bytes(1, 2, 3), "the PNG signature is missing"],
    [good.subarray(0, 20), "ends at byte"],
    [good.subarray(0, 40), "ends at byte"],
    [good.subarray(0, good.length - 12), "inside a chunk"],
    [file(data(bytes(0, 1, 2))), "it does not begin with one header"],
    [file(header(2, 2, 8, 0), header(2, 2, 8, 0)), "it does not begin with one header"],
    [file(header(2, 2, 8, 0)), "its pixels need 6 bytes, and it holds 0"],
    [file(header(2, 2, 8, 0), chunk("IDAT", bytes(1, 2, 3))), "compressed data is damaged"],
    [file(header(2, 2, 8, 0), data(bytes(0, 1, 2))), "its pixels need 6 bytes, and it holds 3"],
    [file(header(2, 2, 8, 0), data(bytes(9, 1, 2, 0, 1, 2))), "filter"],
    [file(header(2, 2, 7, 0), data(bytes(0, 1, 2, 0, 1, 2))), ""],
    [file(header(2, 2, 8, 5), data(bytes(0, 1, 2, 0, 1, 2))), "color type 5"],
    [file(header(2, 2, 8, 0, 2), data(bytes(0, 1, 2, 0, 1, 2))), "interlace method 2"],
    [file(header(2, 2, 4, 2), data(bytes(0, 1, 2, 0, 1, 2))), "4 bits a sample of color type 2"],
    [file(header(2, 2, 8, 3), data(bytes(0, 1, 2, 0, 1, 2))), "no palette"],
    [
      file(header(2, 2, 8, 3), chunk("PLTE", bytes(1, 2, 3)), data(bytes(0, 0, 1, 0, 0, 0))),
      "a pixel has color 1 of a palette of 1",
    ],
    [file(header(2, 2, 8, 0), chunk("ABCD", bytes(1)), data(bytes(0, 1, 2, 0, 1, 2))), '"ABCD"'],
    [wrongChecksum, ""],
  ];
  for (const [png, message] of bad) {
    await assertRejects(() => pixels(png, 2, 2, 1), SyntaxError, message, message);
  }
});

Deno.test("decodePng() ends 2,000 mutated files in an image or one of its errors", async () => {
  const good = encodePng(4, 4, 2, Uint8Array.from({ length: 48 }, (_, i) => i * 5));
  let state = 7;
  const next = (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const mutant = good.slice(0, next(4) === 0 ? next(good.length) : good.length);
    for (let n = 0; n <= next(3); n++) {
      if (mutant.length > 0) mutant[next(mutant.length)] = next(256);
    }
    try {
      assertEquals((await pixels(mutant, 4, 4, 3)).length, 48);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
      assertEquals(/^Cannot (read|use) "test\.png"/.test(error.message), true, error.message);
      refused++;
    }
  }
  assertEquals(refused > 1000, true);
});
