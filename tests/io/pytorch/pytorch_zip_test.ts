import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { toFloat32 } from "../../../src/io/dtype.ts";
import { openFile } from "../../../src/io/file_source.ts";
import { openPyTorchZip, PyTorchFileError } from "../../../src/io/pytorch/pytorch_zip.ts";
import { openSafetensors } from "../../../src/io/safetensors/safetensors.ts";
import { stateDictPrefix } from "../../../src/io/state_dict.ts";
import type { TensorFile } from "../../../src/io/tensor_file.ts";
import { type BytePart, joinBytes } from "../join_bytes.ts";
import { dict, makePyTorchFile, pickle, tensor, text, tuple } from "./pytorch_file.ts";
import { makeZip } from "./zip_file.ts";

const SIX = { 0: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer) };
const PLAIN = tensor({ shape: [2, 3], strides: [3, 1] });

function open(root: BytePart, storages: Record<string, Uint8Array> = SIX): Promise<TensorFile> {
  return openPyTorchZip(fromBytes("m.bin", makePyTorchFile(pickle(root), storages)));
}

async function refused(found: string, root: BytePart, storages = SIX): Promise<void> {
  await assertRejects(async () => await open(root, storages), PyTorchFileError, found);
}

async function floats(file: TensorFile, name: string): Promise<number[]> {
  return [...toFloat32(await file.read(name), file.tensors.get(name)?.dtype ?? "F32")];
}

Deno.test("openPyTorchZip() reads a state dict under any archive name", async () => {
  for (const prefix of ["archive/", "", "a b/é/"]) {
    for (const zip64 of [false, true]) {
      const bytes = makePyTorchFile(pickle(dict({ w: PLAIN })), SIX, { prefix, zip64 });
      using file = await openPyTorchZip(fromBytes("m.bin", bytes));
      const info = file.tensors.get("w");
      assertEquals([info?.dtype, info?.shape, info?.sizeBytes], ["F32", [2, 3], 24]);
      assertEquals(await floats(file, "w"), [0, 1, 2, 3, 4, 5]);
      assertEquals((await file.read("w", 4, 8)).length, 4);
    }
  }
});

Deno.test("openPyTorchZip() reads views: offsets, steps, transposes, repeats, shared storage", async () => {
  using file = await open(dict({
    whole: PLAIN,
    transposed: tensor({ shape: [3, 2], strides: [1, 3] }),
    stepped: tensor({ shape: [3], strides: [2], offset: 1 }),
    tail: tensor({ shape: [2], strides: [1], offset: 4 }),
    repeated: tensor({ shape: [2, 3], strides: [0, 1], offset: 3 }),
    scalar: tensor({ shape: [], strides: [], offset: 5 }),
    one: tensor({ shape: [1, 3, 1], strides: [99, 1, 77] }),
    empty: tensor({ shape: [0, 4], strides: [4, 1] }),
  }));
  assertEquals(await floats(file, "transposed"), [0, 3, 1, 4, 2, 5]);
  assertEquals(await floats(file, "stepped"), [1, 3, 5]);
  assertEquals(await floats(file, "tail"), [4, 5]);
  assertEquals(await floats(file, "repeated"), [3, 4, 5, 3, 4, 5]);
  assertEquals(await floats(file, "scalar"), [5]);
  assertEquals(await floats(file, "one"), [0, 1, 2]);
  assertEquals(await floats(file, "empty"), []);
});

Deno.test("openPyTorchZip() reads any part of a transposed tensor of any element size", async () => {
  const types = { ByteStorage: 1, HalfStorage: 2, FloatStorage: 4, LongStorage: 8 };
  for (const [storageType, size] of Object.entries(types)) {
    const storage = Uint8Array.from({ length: 24 * size }, (_, i) => i * 37 + 11);
    // Element [i, j, k] of shape [4, 3, 2] is element i + 4 j + 12 k of the storage.
    const view = tensor({ storageType, count: 24, shape: [4, 3, 2], strides: [1, 4, 12] });
    using file = await open(dict({ w: view }), { 0: storage });
    const expected = joinBytes(
      ...[0, 1, 2, 3].flatMap((i) =>
        [0, 1, 2].flatMap((j) => [0, 1].map((k) => i + 4 * j + 12 * k))
      )
        .map((at) => storage.subarray(at * size, (at + 1) * size)),
    );
    for (let start = 0; start <= expected.length; start += size === 8 ? 5 : 1) {
      for (let end = start; end <= expected.length; end += 7) {
        assertEquals(await file.read("w", start, end), expected.slice(start, end));
      }
    }
  }
});

Deno.test("openPyTorchZip() reads no more of a storage than a contiguous tensor has", async () => {
  const root = dict({ w: tensor({ shape: [10], strides: [1], offset: 500, count: 250_000 }) });
  const bytes = makePyTorchFile(pickle(root), { 0: new Uint8Array(1_000_000) });
  const source = fromBytes("m.bin", bytes);
  let largest = 0;
  using file = await openPyTorchZip({
    ...source,
    read: (offset, length) => {
      largest = Math.max(largest, length);
      return source.read(offset, length);
    },
  });
  await file.read("w");
  assert(largest < 70_000, `${largest} bytes at once`);
});

Deno.test("openPyTorchZip() knows every storage type", async () => {
  const types = {
    ...{ BoolStorage: "BOOL", ByteStorage: "U8", CharStorage: "I8", ShortStorage: "I16" },
    ...{ IntStorage: "I32", LongStorage: "I64", HalfStorage: "F16", BFloat16Storage: "BF16" },
    ...{ FloatStorage: "F32", DoubleStorage: "F64", ComplexFloatStorage: "C64" },
  };
  const sizes = [1, 1, 1, 2, 4, 8, 2, 2, 4, 8, 8];
  for (const [i, [storageType, dtype]] of Object.entries(types).entries()) {
    const view = tensor({ storageType, count: 3, shape: [3], strides: [1] });
    using file = await open(dict({ w: view }), { 0: new Uint8Array(3 * (sizes[i] ?? 0)) });
    assertEquals(file.tensors.get("w")?.dtype, dtype);
  }
  await refused(
    "QInt8Storage",
    dict({ w: tensor({ storageType: "QInt8Storage", shape: [], strides: [] }) }),
  );
});

Deno.test("openPyTorchZip() reads untyped storages, whose tensors carry the type", async () => {
  const untyped = (dtype: string) =>
    joinBytes(
      joinBytes("ctorch._utils\n_rebuild_tensor_v3\n((", text("storage")),
      joinBytes("ctorch.storage\nUntypedStorage\n", text("0"), text("cpu"), "K", 24, "tQ"),
      joinBytes("K", 0, tuple([12]), tuple([1]), 0x89, "N", `ctorch\n${dtype}\ntR`),
    );
  using file = await open(dict({ w: untyped("uint16") }));
  assertEquals([file.tensors.get("w")?.dtype, file.tensors.get("w")?.sizeBytes], ["U16", 24]);
  await refused('dtype "quint8"', dict({ w: untyped("quint8") }));
});

Deno.test("openPyTorchZip() reads parameters and subclasses of tensors", async () => {
  const hooks = "ccollections\nOrderedDict\n)R";
  using file = await open(dict({
    p: joinBytes("ctorch._utils\n_rebuild_parameter\n(", PLAIN, 0x88, hooks, "tR"),
    s: joinBytes("ctorch._utils\n_rebuild_parameter_with_state\n(", PLAIN, 0x88, hooks, "}tR"),
    b: joinBytes(
      joinBytes("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n"),
      joinBytes("ctorch\nTensor\n((", text("storage"), "ctorch\nFloatStorage\n", text("0")),
      joinBytes(text("cpu"), "K", 6, "tQK", 0, tuple([6]), tuple([1]), 0x89, hooks, "t}tR"),
    ),
  }));
  assertEquals([...file.tensors.values()].map(({ shape }) => shape), [[2, 3], [2, 3], [6]]);
  await refused("_rebuild_sparse_tensor", dict({ w: "ctorch._utils\n_rebuild_sparse_tensor\n)R" }));
});

Deno.test("openPyTorchZip() names nested values with dots, and keeps plain ones as metadata", async () => {
  using file = await open(dict({
    epoch: joinBytes("K", 3),
    ok: 0x88,
    note: text("é"),
    nothing: "N",
    model_state_dict: joinBytes("ccollections\nOrderedDict\n)R(", text("a.w"), PLAIN, "u"),
    list: joinBytes("](", PLAIN, "K", 1, "e"),
    config: joinBytes("cmodels\nConfig\n)", 0x81, dict({ d_model: joinBytes("K", 16) }), "b"),
  }));
  assertEquals([...file.tensors.keys()], ["model_state_dict.a.w", "list.0"]);
  assertEquals(Object.fromEntries(file.metadata), {
    ...{ epoch: "3", ok: "true", note: "é", "config.d_model": "16" },
  });
  assertEquals(stateDictPrefix(file), "model_state_dict.");
});

Deno.test("openPyTorchZip() finds the tensors of a pickled module", async () => {
  const module = (parameters: BytePart, modules: BytePart) =>
    joinBytes(
      "cm\nNet\n)",
      0x81,
      dict({ _parameters: parameters, _buffers: "}", _modules: modules }),
      "b",
    );
  using file = await open(module("}", dict({ norm: module(dict({ weight: PLAIN }), "}") })));
  assertEquals([...file.tensors.keys()], ["norm.weight"]);
});

Deno.test("openPyTorchZip() refuses tensors that their storage does not hold", async () => {
  const view = (fake: Partial<Parameters<typeof tensor>[0]>) =>
    dict({ w: tensor({ shape: [6], strides: [1], ...fake }) });
  await refused("past the end at 24", view({ offset: 1 }));
  await refused("past the end at 24", view({ shape: [4, 2], strides: [2, 1] }));
  await refused("past the end at 24", view({ strides: [2 ** 50] }));
  await refused("past the end at 24", view({ offset: 2 ** 52 }));
  await refused("which the file lacks", view({ key: "../0" }));
  await refused("the file has 24", view({ count: 7 }));
  await refused("1 sizes and 2 strides", view({ strides: [1, 1] }));
  await refused("shape that is not", view({ shape: [-1] }));
  await refused("stride that is not", view({ strides: [-1] }));
  await refused("whole number", view({ offset: -1 }));
  await refused("64 dimensions", view({ shape: Array(65).fill(1), strides: Array(65).fill(0) }));
  await refused("has no storage", dict({ w: "ctorch._utils\n_rebuild_tensor_v2\n)R" }));
});

Deno.test("openPyTorchZip() refuses a few bytes repeated into terabytes", async () => {
  const bomb = { shape: [1 << 20, 1 << 20], strides: [0, 0] };
  await refused("repeats the 24 bytes", dict({ w: tensor(bomb) }));
  await refused(
    "past the end",
    dict({ w: tensor({ shape: [2 ** 40, 2 ** 40], strides: [0, 0] }) }),
  );
});

Deno.test("openPyTorchZip() refuses names that come twice", async () => {
  await refused('tensor "a.b" is there twice', dict({ a: dict({ b: PLAIN }), "a.b": PLAIN }));
});

Deno.test("openPyTorchZip() ends on values that contain themselves, or each other a billion times", async () => {
  using cyclic = await open(joinBytes("}q", 0, text("self"), "h", 0, "s", text("w"), PLAIN, "s"));
  assertEquals([...cyclic.tensors.keys()], ["w"]);
  let doubled: BytePart = "]";
  for (let i = 0; i < 30; i++) doubled = joinBytes(doubled, "2", 0x86);
  await refused("more than 500000 members", doubled);
  const deep = joinBytes("(".repeat(900), PLAIN, "t".repeat(900));
  await refused("nested deeper than 64", deep);
});

Deno.test("openPyTorchZip() runs nothing that the pickle calls", async () => {
  const path = await Deno.makeTempFile();
  const call = joinBytes("cos\nsystem\n", text(`echo executed > ${path}`), 0x85, "R");
  using file = await open(dict({ w: PLAIN, payload: call }));
  assertEquals([...file.tensors.keys()], ["w"]);
  assertEquals(await Deno.readTextFile(path), "");
  await Deno.remove(path);
});

Deno.test("openPyTorchZip() refuses the legacy form, bare pickles, big-endian and other archives", async () => {
  const reject = (bytes: Uint8Array, found: string) =>
    assertRejects(
      async () => await openPyTorchZip(fromBytes("m.bin", bytes)),
      PyTorchFileError,
      found,
    );
  const magic = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  await reject(joinBytes(magic, "."), "legacy form");
  await reject(pickle("N"), "bare pickle");
  await reject(makePyTorchFile(pickle("N"), {}, { byteorder: "big" }), '"big"');
  await reject(makeZip([{ name: "a.npy", bytes: new Uint8Array() }]), "without data.pkl");
  const two = ["a/data.pkl", "b/data.pkl"].map((name) => ({ name, bytes: pickle("N") }));
  await reject(makeZip(two), "2 files named data.pkl");
});

Deno.test("openPyTorchZip() reads the same tensors as the safetensors file of the same model", async () => {
  for (const [raw, hf] of [["mamba1-raw", "mamba1"], ["mamba1-odd-raw", "mamba1-odd"]]) {
    const golden = new URL("../../golden/", import.meta.url);
    using file = await openPyTorchZip(await openFile(new URL(`${raw}/pytorch_model.bin`, golden)));
    using other = await openSafetensors(await openFile(new URL(`${hf}/model.safetensors`, golden)));
    for (const { name, shape } of other.tensors.values()) {
      const rawName = name.replace("embeddings", "embedding");
      assertEquals(file.tensors.get(rawName)?.shape, shape, name);
      assertEquals(await file.read(rawName), await other.read(name), name);
    }
    assert(other.tensors.size > 10);
  }
});

const SHARED = new URL("../../../../shared/data/", import.meta.url);
const ignore = !exists(SHARED);

Deno.test({
  name: "openPyTorchZip() reads files of burn's and candle's",
  ignore,
  async fn() {
    const cases: [string, string, number[], number[]][] = [
      ["burn/float32.pt", "tensor", [4], [1, 2.5, Math.fround(-3.7), 0]],
      ["burn/float16.pt", "tensor", [3], [1.5, -2.25, 3.125]],
      ["burn/bfloat16.pt", "tensor", [3], [1.5, -2.5, 3.5]],
      ["burn/int64.pt", "tensor", [4], [100, -200, 300, 0]],
      ["burn/scalar.pt", "tensor", [], [42]],
      ["burn/empty.pt", "tensor", [0], []],
      ["candle/test.pt", "test", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]],
      ["candle/test_with_key.pt", "model_state_dict.test", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]],
      ["candle/fortran_tensor_3d.pth", "tensor_fortran", [2, 3, 4], range(1, 25)],
    ];
    for (const [path, name, shape, values] of cases) {
      using file = await openPyTorchZip(await openFile(new URL(`parser-fixtures/${path}`, SHARED)));
      assertEquals(file.tensors.get(name)?.shape, shape, path);
      assertEquals(await floats(file, name), values, path);
    }
    const fixture = (path: string) => openFile(new URL(`parser-fixtures/burn/${path}`, SHARED));
    using file = await openPyTorchZip(await fixture("checkpoint.pt"));
    assertEquals([file.metadata.get("epoch"), file.metadata.get("loss")], ["42", "0.123"]);
    assertEquals(stateDictPrefix(file), "model_state_dict.");
    await assertRejects(async () => await openPyTorchZip(await fixture("broken.pt")), SyntaxError);
    await assertRejects(
      async () => await openPyTorchZip(await fixture("legacy_with_offsets.pt")),
      PyTorchFileError,
      "legacy form",
    );
  },
});

Deno.test({
  name: "openPyTorchZip() reads a training checkpoint with optimizer state and a pickled config",
  ignore,
  async fn() {
    const url = new URL("mnist-mamba/best_model.pth", SHARED);
    using file = await openPyTorchZip(await openFile(url));
    assertEquals(stateDictPrefix(file), "model_state_dict.");
    const names = [...file.tensors.keys()].filter((name) => name.startsWith("model_state_dict."));
    assertEquals(names.length, 17);
    assertEquals(file.tensors.get("model_state_dict.input_proj.weight")?.shape, [16, 784]);
    assertEquals([file.metadata.get("accuracy"), file.metadata.get("config.d_state")], [
      "97.26",
      "8",
    ]);
    for (const name of names) assert((await floats(file, name)).every(Number.isFinite), name);
  },
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, i) => first + i);
}

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isDirectory;
  } catch {
    return false;
  }
}
