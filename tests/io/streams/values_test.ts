import { assert, assertEquals, assertRejects } from "@std/assert";
import { ByteReader } from "../../../src/io/streams/byte_stream.ts";
import { readValues, type ValuesWanted } from "../../../src/io/streams/values.ts";
import { Random } from "../../../src/checks/random.ts";
import { encodePng } from "../images/png_file.ts";
import { inPieces, joined, utf8 } from "./source.ts";

const IMAGE = { width: 2, height: 2, channels: 1 };
const PLAIN: ValuesWanted = { format: "auto", columns: undefined, width: 2, image: undefined };

/** All numbers of a stream that comes `size` bytes at a time, and after how many of them sequences end. */
async function read(
  bytes: Uint8Array<ArrayBuffer>,
  wanted: Partial<ValuesWanted> = {},
  size = 1,
): Promise<{ values: number[]; ends: number[] }> {
  const values: number[] = [], ends: number[] = [];
  const reader = new ByteReader(inPieces(bytes, size), "in");
  for await (const piece of readValues(reader, { ...PLAIN, ...wanted })) {
    values.push(...piece.values);
    if (piece.ends) ends.push(values.length);
  }
  return { values, ends };
}

function floats(...values: number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return new Uint8Array(view.buffer);
}

const PNG = encodePng(2, 2, 0, Uint8Array.of(5, 6, 7, 8)).slice();
const IDX = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8);
/** Two rows of three 16-bit numbers. */
const ROWS = Uint8Array.of(
  0,
  0,
  11,
  2,
  0,
  0,
  0,
  2,
  0,
  0,
  0,
  3,
  0,
  1,
  255,
  255,
  0,
  3,
  1,
  0,
  0,
  5,
  0,
  6,
);

function u32(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => value >>> shift & 255);
}

/** A WAV file of two channels; `size` is what it says of its data. */
function wav(form: number, bits: number, data: Uint8Array, size = data.length) {
  const frame = 2 * bits / 8;
  return joined(
    [...utf8("RIFF"), ...u32(0), ...utf8("WAVE"), ...utf8("LIST"), ...u32(3), 1, 2, 3, 0],
    [...utf8("fmt "), ...u32(16), form, 0, 2, 0, ...u32(8000), ...u32(8000 * frame)],
    [frame, 0, bits, 0, ...utf8("data"), ...u32(size)],
    data,
  );
}

Deno.test("readValues() gives the same numbers however their bytes come", async () => {
  const pixels = { image: IMAGE, width: 1 };
  const cases: [Uint8Array<ArrayBuffer>, Partial<ValuesWanted>, number[], number[]][] = [
    [utf8("1 2\n-3.5\t4e-1\r\n5,6"), {}, [1, 2, -3.5, 0.4, 5, 6], []],
    [utf8("1 2 3 4"), {}, [1, 2, 3, 4], []],
    [utf8("0,5;1\n2;-1,25\n"), {}, [0.5, 1, 2, -1.25], []],
    [utf8(" [[1, 2],\n [3, 4]]\n"), {}, [1, 2, 3, 4], []],
    [utf8("[1, 2]\n[3, 4]\n"), {}, [1, 2, 3, 4], []],
    [utf8("x,y\n1,2\n3,4"), {}, [1, 2, 3, 4], []],
    [utf8('"t, s";a;b\n2026-01-01 10:00;1,5;2\n\n"x;y";3;4\n'), { columns: ["b", "a"] }, [
      2,
      1.5,
      4,
      3,
    ], []],
    [Uint8Array.of(0, 7, 255), { format: "u8" }, [0, 7, 255], []],
    [floats(1, -2, 0.5, 4), { format: "f32" }, [1, -2, 0.5, 4], []],
    [joined(PNG, PNG), pixels, [5, 6, 7, 8, 5, 6, 7, 8], [4, 8]],
    [IDX, pixels, [1, 2, 3, 4, 5, 6, 7, 8], [4, 8]],
    [ROWS, {}, [1, -1, 3, 256, 5, 6], [3, 6]],
    [wav(1, 8, Uint8Array.of(0, 128, 192, 255)), {}, [-1, 0, 0.5, 127 / 128], []],
    [wav(1, 16, Uint8Array.of(0, 128, 0, 64)), {}, [-1, 0.5], []],
    [wav(1, 24, Uint8Array.of(0, 0, 128, 0, 0, 32)), {}, [-1, 0.25], []],
    [wav(1, 32, Uint8Array.of(0, 0, 0, 128, 0, 0, 0, 16)), {}, [-1, 0.125], []],
    [wav(3, 32, floats(0.25, -0.75)), {}, [0.25, -0.75], []],
    // Recorders do not know how long it will be.
    [wav(1, 16, Uint8Array.of(0, 128, 0, 64), 0xffffffff), {}, [-1, 0.5], []],
  ];
  for (const [bytes, wanted, values, ends] of cases) {
    for (const size of [1, 2, 3, 7, 1000]) {
      const found = await read(bytes, wanted, size);
      const rounded = values.map(Math.fround);
      assertEquals(found, { values: rounded, ends }, `${size}: ${new TextDecoder().decode(bytes)}`);
    }
  }
});

Deno.test("readValues() gives a number as soon as a space or a line ends it", async () => {
  const taken: number[] = [];
  const source = async function* () {
    for (const [i, part] of ["1", " ", "2\n", "3 "].entries()) {
      if (i === 2) assertEquals(taken, [1]);
      yield await Promise.resolve(utf8(part));
    }
    assertEquals(taken, [1, 2, 3]);
  };
  const reader = new ByteReader(source(), "in");
  for await (const { values } of readValues(reader, { ...PLAIN, width: 1 })) taken.push(...values);
});

Deno.test("readValues() refuses in one sentence what is not of the format", async () => {
  const pixels = { image: IMAGE, width: 1 };
  const cases: [Uint8Array<ArrayBuffer>, Partial<ValuesWanted>, string][] = [
    [utf8("1 two"), {}, 'entry 1 is "two", expected finite numbers'],
    [utf8("1 2\n3\n"), {}, "line 2 holds 1 numbers, and each step of this model takes 2"],
    [utf8("0,5 0,7\n"), {}, "line 1 has commas inside of words"],
    [utf8("a,b,c\n1,2,3\n"), {}, '3 columns ("a", "b", "c"), and each step of this model takes 2'],
    [utf8("a,b\n1,2\n"), { columns: ["a", "z"] }, 'it has no column "z", its columns are "a", "b"'],
    [utf8("a,b\n1\n"), {}, "line 2 has 1 cells, and the first has 2"],
    [utf8("a,b\n1,NaN\n"), {}, 'column "b" of line 2 is "NaN", expected a finite number'],
    [utf8('a,b\n"1,2\n'), {}, "line 2: its quotes do not end within the line"],
    [utf8("x".repeat(2 ** 20 + 1)), {}, "line 1 has more than 1048576 characters"],
    [joined(utf8("1 "), [0xff]), {}, "byte 2 is 0xff, which is not UTF-8"],
    [Uint8Array.of(0x1f, 0x8b, 8), {}, "it is packed with gzip: unpack it first"],
    [Uint8Array.of(0xfe, 1), {}, "Raw bytes are read with --format u8 or f32"],
    [floats(1).slice(0, 3), { format: "f32" }, "it ends inside a number of 4 bytes"],
    [PNG, {}, "it is PNG, and this model takes no images"],
    [PNG.slice(0, 20), pixels, "it ends after 20 bytes, inside a chunk"],
    [joined(PNG, [1]), pixels, "the PNG signature is missing at byte"],
    [IDX.slice(0, 20), pixels, "it ends inside item 1 of 2"],
    [joined(IDX, [1]), pixels, "it goes on after its last item"],
    [ROWS, pixels, "its items are of shape [3]"],
    [Uint8Array.of(0, 0, 7, 1, 0, 0, 0, 0), {}, "it begins with 00 00 07 01"],
    [utf8("RIFFabcdWAVX"), {}, "it does not begin with RIFF and WAVE"],
    [wav(2, 16, new Uint8Array(4)), {}, "its samples are of format 2 in 16 bits"],
    [wav(1, 16, new Uint8Array(4), 8), {}, "and 4 bytes of samples are missing"],
    [wav(1, 16, new Uint8Array(4)), { width: 1 }, "it has 2 channels, and each step"],
  ];
  for (const [bytes, wanted, message] of cases) {
    await assertRejects(() => read(bytes, wanted, 5), Error, message, message);
  }
});

Deno.test("readValues() of damaged bytes gives numbers, or an error that says what it cannot do", async () => {
  const random = new Random(5);
  const whole = [PNG, IDX, ROWS, wav(1, 16, new Uint8Array(40)), utf8("a,b\n1,2\n3,4\n")];
  for (let i = 0; i < 600; i++) {
    const bytes = whole[i % whole.length]?.slice() ?? PNG;
    for (let flips = 0; flips < 3; flips++) {
      bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
    }
    try {
      await read(bytes, { image: i % 2 === 0 ? IMAGE : undefined, width: 1 }, 16);
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
      assert(error.message.startsWith("Cannot "), error.message);
    }
  }
});
