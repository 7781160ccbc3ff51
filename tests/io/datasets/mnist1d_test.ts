import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadMnist1d, parseMnist1d } from "../../../src/io/datasets/mnist1d.ts";
import { PickleError } from "../../../src/io/pytorch/pickle.ts";
import { joinBytes, le } from "../join_bytes.ts";
import { dict, pickle, text, tuple } from "../pytorch/pytorch_file.ts";

const FILE = new URL("../../../../shared/data/mnist1d/mnist1d_data.pkl", import.meta.url);

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}

/** The opcodes that push a NumPy array of f64 or i64. */
function array(shape: number[], values: number[], code: "f8" | "i8" = "f8"): Uint8Array {
  const elements = code === "f8" ? Float64Array.from(values) : BigInt64Array.from(values, BigInt);
  const bytes = new Uint8Array(elements.buffer);
  return joinBytes(
    joinBytes("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n", tuple([0])),
    joinBytes("C", 1, "b", 0x87, "R(K", 1, tuple(shape)),
    joinBytes("cnumpy\ndtype\n", text(code), 0x89, 0x88, 0x87, "R(K", 3, text("<")),
    joinBytes("NNNJ", le(-1, 4), "J", le(-1, 4), "K", 0, "tb"),
    joinBytes(0x89, "B", le(bytes.length, 4), bytes, "tb"),
  );
}

const MEMBERS = {
  x: array([2, 3], [1, 2, 3, 4, 5, 6]),
  y: array([2], [7, 0], "i8"),
  x_test: array([1, 3], [0.5, -1, 2]),
  y_test: array([1], [9], "i8"),
};

Deno.test("parseMnist1d() reads both parts of the pickle", () => {
  const { train, test } = parseMnist1d(pickle(dict(MEMBERS)), "p");
  assertEquals([train.count, train.length, train.classNames.length], [2, 3, 10]);
  assertEquals([[...train.values], [...train.labels]], [[1, 2, 3, 4, 5, 6], [7, 0]]);
  assertEquals([[...test.values], [...test.labels]], [[0.5, -1, 2], [9]]);
});

Deno.test("parseMnist1d() refuses pickles of anything else", () => {
  const cases: [Partial<typeof MEMBERS>, string][] = [
    [
      { x: array([6], [1, 2, 3, 4, 5, 6]) },
      '"x" is of shape [6], expected numbers in 2 dimensions',
    ],
    [{ x: array([0, 3], []) }, '"x" is of shape [0, 3]'],
    [{ x: text("x") }, '"x" is no array'],
    [{ y: array([3], [1, 2, 3], "i8") }, '"x" has 2 series and "y" 3 labels'],
    [{ y: array([2], [1, 10], "i8") }, "label 1 is 10, expected 0 to 9"],
    [{ y: array([2], [1.5, 1]) }, "label 0 is 1.5"],
    [{ y: array([2], [4, 4], "i8") }, 'all 2 series of "x" are of class 4, expected two classes'],
    [{ x: array([2, 3], [1, 2, 3, 4, NaN, 6]) }, "value 1 of series 1 is NaN"],
    [{ x_test: array([1, 2], [1, 2]) }, 'series have 3 values in "x" and 2 in "x_test"'],
  ];
  for (const [change, message] of cases) {
    const bytes = pickle(dict({ ...MEMBERS, ...change }));
    assertThrows(() => parseMnist1d(bytes, "p"), SyntaxError, message);
  }
  const { y: _, ...rest } = MEMBERS;
  assertThrows(() => parseMnist1d(pickle(dict(rest)), "p"), SyntaxError, '"y" is no array');
  assertThrows(() => parseMnist1d(pickle(text("x")), "p"), SyntaxError, "it is no dict of arrays");
  assertThrows(() => parseMnist1d(new Uint8Array(3), "p"), PickleError);
});

Deno.test({
  name: "loadMnist1d() loads the published pickle",
  ignore: !await exists(FILE),
  async fn() {
    const { train, test } = await loadMnist1d(FILE.pathname);
    assertEquals([train.count, test.count, train.length], [4000, 1000, 40]);
    const counts = new Array(10).fill(0);
    for (const label of train.labels) counts[label]++;
    assertEquals(counts.reduce((a, b) => a + b), 4000);
    assertEquals(Math.min(...counts) > 300, true);
    const mean = train.values.reduce((sum, v) => sum + v, 0) / train.values.length;
    assertAlmostEquals(mean, 0, 0.5);
    await assertRejects(() => loadMnist1d(`${FILE.pathname}x`), Deno.errors.NotFound);
  },
});
