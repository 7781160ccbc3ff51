import { assert, assertEquals } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { toFloat32 } from "../../../src/io/dtype.ts";
import { numpyArray, numpyScalar } from "../../../src/io/pytorch/pickle_numpy.ts";
import { PickleDict, unpickle } from "../../../src/io/pytorch/pickle.ts";
import { openPyTorchZip } from "../../../src/io/pytorch/pytorch_zip.ts";
import { type BytePart, joinBytes, le } from "../join_bytes.ts";
import { dict, makePyTorchFile, pickle, text, tuple } from "./pytorch_file.ts";

function dtype(code: string, order = "<"): Uint8Array {
  return joinBytes(
    joinBytes("cnumpy\ndtype\n", text(code), 0x89, 0x88, 0x87, "R(K", 3, text(order)),
    joinBytes("NNNJ", le(-1, 4), "J", le(-1, 4), "K", 0, "tb"),
  );
}

function scalar(code: string, bytes: number[], order = "<"): Uint8Array {
  const module = "cnumpy._core.multiarray\nscalar\n";
  return joinBytes(module, dtype(code, order), "C", bytes.length, bytes, 0x86, "R");
}

function array(
  code: string,
  shape: number[],
  bytes: number[],
  fortran: BytePart = 0x89,
): Uint8Array {
  return joinBytes(
    joinBytes("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n", tuple([0])),
    joinBytes("C", 1, "b", 0x87, "R(K", 1, tuple(shape), dtype(code), fortran),
    joinBytes("C", bytes.length, bytes, "tb"),
  );
}

const read = (opcodes: Uint8Array) => unpickle(pickle(opcodes), "p");

Deno.test("numpyScalar() reads numbers of each kind", () => {
  const f64 = [...new Uint8Array(Float64Array.of(97.26).buffer)];
  assertEquals(numpyScalar(read(scalar("f8", f64))), 97.26);
  assertEquals(numpyScalar(read(scalar("i8", le(-7, 8)))), -7n);
  assertEquals(numpyScalar(read(scalar("i4", le(2 ** 31 - 1, 4)))), 2 ** 31 - 1);
  assertEquals(numpyScalar(read(scalar("f2", [0, 0x3c]))), 1);
  assertEquals(numpyScalar(read(scalar("b1", [1], "|"))), true);
  assertEquals(numpyScalar(read(scalar("f8", f64, ">"))), undefined);
  assertEquals(numpyScalar(read(scalar("f8", [1]))), undefined);
  assertEquals(numpyScalar(read(scalar("O8", le(0, 8)))), undefined);
});

Deno.test("numpyArray() reads an array of either order", () => {
  const found = numpyArray(read(array("u1", [2, 2], [1, 2, 3, 4], 0x88)));
  assertEquals(found, {
    ...{ dtype: "U8", shape: [2, 2], fortranOrder: true },
    bytes: Uint8Array.of(1, 2, 3, 4),
  });
  assertEquals(numpyArray(read(array("u1", [2, 2], [1, 2])))?.shape, undefined);
  assertEquals(numpyArray(read(array("u1", [-1], [1]))), undefined);
  assertEquals(numpyArray(null), undefined);
});

Deno.test("openPyTorchZip() keeps NumPy numbers as metadata", async () => {
  const root = pickle(dict({ best: scalar("i4", le(-12, 4)) }));
  using file = await openPyTorchZip(fromBytes("m", makePyTorchFile(root)));
  assertEquals([...file.metadata], [["best", "-12"]]);
});

const MNIST_1D = new URL("../../../../shared/data/mnist1d/mnist1d_data.pkl", import.meta.url);

Deno.test({
  name: "numpyArray() reads the MNIST-1D data set",
  ignore: !exists(MNIST_1D),
  async fn() {
    const root = unpickle(await Deno.readFile(MNIST_1D), "mnist1d_data.pkl");
    if (!(root instanceof PickleDict)) throw new TypeError("not a dict");
    const x = numpyArray(root.entries.get("x") ?? null);
    const y = numpyArray(root.entries.get("y_test") ?? null);
    assertEquals([x?.shape, y?.shape], [[4000, 40], [1000]]);
    if (x === undefined || y === undefined) throw new TypeError("not arrays");
    assert(toFloat32(x.bytes, x.dtype).every((value) => Math.abs(value) < 10));
    assert(toFloat32(y.bytes, y.dtype).every((value) => value >= 0 && value < 10));
  },
});

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}
