import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { toFloat32 } from "../../../src/io/dtype.ts";
import { openFile } from "../../../src/io/file_source.ts";
import { openSafetensors, SafetensorsError } from "../../../src/io/safetensors/safetensors.ts";
import { joinBytes, le } from "../join_bytes.ts";

function makeFile(header: string, dataBytes = 0): Uint8Array {
  const json = joinBytes(header);
  return joinBytes(le(json.length, 8), json, new Uint8Array(dataBytes).map((_, i) => i));
}

function tensor(dtype: string, shape: unknown, offsets: unknown, extra = ""): string {
  return `{"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":${
    JSON.stringify(offsets)
  }${extra}}`;
}

async function refused(bytes: Uint8Array, found: string): Promise<void> {
  await assertRejects(
    async () => await openSafetensors(fromBytes("model.safetensors", bytes)),
    SafetensorsError,
    found,
  );
}

Deno.test("openSafetensors() reads tensors, parts of them, and metadata", async () => {
  const header = `{"__metadata__":{"format":"pt","é":"\\u00e9\\n"},
    "b":${tensor("U8", [2, 3], [0, 6])}, "a.weight":${tensor("F32", [], [6, 10])},
    "empty":${tensor("F64", [0, 5], [10, 10])}}   `;
  using file = await openSafetensors(fromBytes("m", makeFile(header, 10)));
  assertEquals([...file.tensors.keys()], ["b", "a.weight", "empty"]);
  assertEquals([...file.metadata], [["format", "pt"], ["é", "é\n"]]);
  const info = file.tensors.get("b");
  assertEquals([info?.dtype, info?.shape, info?.sizeBytes], ["U8", [2, 3], 6]);
  assertEquals([...await file.read("b")], [0, 1, 2, 3, 4, 5]);
  assertEquals([...await file.read("b", 2, 4)], [2, 3]);
  assertEquals([...await file.read("a.weight")], [6, 7, 8, 9]);
  assertEquals((await file.read("empty")).length, 0);
  await assertRejects(() => file.read("c"), RangeError, '"c"');
  await assertRejects(() => file.read("b", 0, 7), RangeError, "[0, 7)");
  await assertRejects(() => file.read("b", 5, 4), RangeError, "[5, 4)");
});

Deno.test("openSafetensors() accepts an empty file, unknown members and names like __proto__", async () => {
  using empty = await openSafetensors(fromBytes("m", makeFile("{}      ")));
  assertEquals(empty.tensors.size, 0);
  const extra = `,"later":{"a":[1,-2.5e3,null,true,"x\\""]}`;
  const header = `{"__proto__":${tensor("I8", [1], [0, 1], extra)}}`;
  using file = await openSafetensors(fromBytes("m", makeFile(header, 1)));
  assertEquals([...file.tensors.keys()], ["__proto__"]);
});

Deno.test("openSafetensors() disposes its source, when disposed and when it fails", async () => {
  let disposed = 0;
  const bytes = makeFile("{}");
  const counting = (content: Uint8Array) => ({
    ...fromBytes("m", content),
    [Symbol.dispose]: () => void disposed++,
  });
  (await openSafetensors(counting(bytes)))[Symbol.dispose]();
  assertEquals(disposed, 1);
  await assertRejects(async () => await openSafetensors(counting(bytes.subarray(0, 9))));
  assertEquals(disposed, 2);
});

Deno.test("openSafetensors() refuses files that end too early", async () => {
  await refused(new Uint8Array(), "0 bytes");
  await refused(new Uint8Array(7), "7 bytes");
  await refused(
    joinBytes(le(3, 8), "{}"),
    "the header ends at byte 11, past the end of the file at 10",
  );
  await refused(makeFile(`{"D":${tensor("U8", [4], [0, 4])}}`, 3), 'tensor "D" ends at byte');
});

Deno.test("openSafetensors() refuses header lengths beyond the format's limit, unread", async () => {
  await refused(joinBytes(le(100_000_001, 8), "{}"), "at most 100000000");
  await refused(joinBytes(le(2n ** 53n + 1n, 8), "{}"), "9007199254740993");
  await refused(joinBytes(le(-1, 8), "{}"), "18446744073709551615");
});

Deno.test("openSafetensors() refuses overlapping tensors, holes and leftovers", async () => {
  const u8 = (begin: number, end: number) => tensor("U8", [end - begin], [begin, end]);
  await refused(makeFile(`{"a":${u8(0, 4)},"b":${u8(3, 6)}}`, 6), 'inside tensor "a"');
  await refused(makeFile(`{"a":${u8(0, 4)},"b":${u8(0, 4)}}`, 4), 'inside tensor "a"');
  await refused(makeFile(`{"a":${u8(0, 4)},"b":${u8(5, 6)}}`, 6), "belong to none");
  await refused(makeFile(`{"a":${u8(1, 4)}}`, 4), "belong to none");
  await refused(makeFile(`{"a":${u8(0, 4)}}`, 5), "belong to none");
  await refused(makeFile(`{}`, 1), "belong to none");
});

Deno.test("openSafetensors() refuses sizes that do not fit dtype and shape", async () => {
  await refused(makeFile(`{"a":${tensor("F32", [2], [0, 4])}}`, 4), "[2] needs 8");
  await refused(makeFile(`{"a":${tensor("U8", [2], [2, 0])}}`, 2), "the first is larger");
  const huge = [2 ** 40, 2 ** 40];
  await refused(makeFile(`{"a":${tensor("U8", huge, [0, 4])}}`, 4), "more than 2^53");
  await refused(makeFile(`{"a":${tensor("U8", [...huge, 0], [0, 4])}}`, 4), "needs 0");
});

Deno.test("openSafetensors() refuses dimensions and offsets that are not sizes", async () => {
  for (const bad of ["-1", "1.0", "1e0", "01", '"1"', "null", "[1]", "9007199254740992", "NaN"]) {
    const digits = bad === "9007199254740992" ? "beyond 2^53" : "whole number";
    const entry = (shape: string, end: string) =>
      makeFile(`{"a":{"dtype":"U8","shape":[${shape}],"data_offsets":[0,${end}]}}`, 1);
    const message = bad === "01" ? "" : digits;
    await refused(entry(bad, "1"), message);
    await refused(entry("1", bad), message);
  }
  const rank65 = new Array(65).fill(1);
  await refused(makeFile(`{"a":${tensor("U8", rank65, [0, 1])}}`, 1), "more than 64 dimensions");
  await refused(makeFile(`{"a":${tensor("U8", [1], [0, 1, 1])}}`, 1), "more than 2 data_offsets");
  await refused(makeFile(`{"a":${tensor("U8", [1], [0])}}`, 1), "no two data_offsets");
});

Deno.test("openSafetensors() refuses unknown dtypes, and says why F4 is one", async () => {
  await refused(makeFile(`{"a":${tensor("Q8", [1], [0, 1])}}`, 1), 'unknown dtype "Q8"');
  await refused(makeFile(`{"a":${tensor("toString", [1], [0, 1])}}`, 1), "unknown dtype");
  await refused(makeFile(`{"a":${tensor("F4", [2], [0, 1])}}`, 1), "leaves open");
  await refused(makeFile(`{"a":{"dtype":3,"shape":[1],"data_offsets":[0,1]}}`, 1), "a string");
});

Deno.test("openSafetensors() refuses keys that come twice, also when spelled differently", async () => {
  const entry = tensor("U8", [1], [0, 1]);
  await refused(makeFile(`{"ab":${entry},"a\\u0062":${entry}}`, 1), 'the key "ab" is there twice');
  await refused(makeFile(`{"__metadata__":{"k":"1","k":"2"}}`), "twice");
  await refused(makeFile(`{"__metadata__":{},"__metadata__":{}}`), "twice");
  await refused(makeFile(`{"a":${tensor("U8", [1], [0, 1], ',"dtype":"U8"')}}`, 1), "twice");
});

Deno.test("openSafetensors() refuses metadata that is not text", async () => {
  await refused(makeFile(`{"__metadata__":{"a":1}}`), '__metadata__ "a" is not a string');
  await refused(makeFile(`{"__metadata__":["a"]}`), 'expected "{"');
  await refused(makeFile(`{"__metadata__":null}`), 'expected "{"');
});

Deno.test("openSafetensors() refuses headers that are not JSON", async () => {
  const entry = tensor("U8", [1], [0, 1]);
  for (
    const bad of [
      ...["", "[]", "{", "{}x", "{}{}", `{"a":${entry},}`, `{"a" ${entry}}`, `{a:${entry}}`],
      ...[`{"a":1}`, `{"a":null}`, `{"a`, `{"a\\`, `{"\\x":${entry}}`, `{"\n":${entry}}`, "nul"],
      ...[`{"a":${tensor("U8", [1], [0, 1], ',"x":tru')}}`, `{"a":{"dtype":"U8","shape":[1,]}}`],
      ...[`{"a":{"dtype":"U8","shape":[1],"x":1.}}`, `{"a":{"x":--1}}`, `{"a":{}}`],
    ]
  ) await refused(makeFile(bad, 1), 'Cannot read "model.safetensors":');
  await refused(joinBytes(le(5, 8), '{"', 0xff, '":'), "not UTF-8");
});

Deno.test("openSafetensors() refuses more keys and longer text than it would hold", async () => {
  const pairs = Array.from({ length: 300_001 }, (_, i) => `"${i}":""`);
  await refused(makeFile(`{"__metadata__":{${pairs.join()}}}`), "more than 300000 keys");
  const entry = tensor("U8", [0], [0, 0]);
  const many = Array.from({ length: 250_001 }, (_, i) => `"${i}":${entry}`);
  await refused(makeFile(`{${many.join()}}`), "more than 250000 tensors");
  await refused(makeFile(`{"__metadata__":{"a":"${"x".repeat(2 ** 24)}"}}`), "more than 16777216");
});

Deno.test("openSafetensors() refuses deep nesting without running out of stack", async () => {
  const nested = `{"a":{"x":${"[".repeat(1_000_000)}`;
  await refused(makeFile(nested), "nested deeper");
});

Deno.test("openSafetensors() cuts and escapes hostile names in messages", async () => {
  const name = `\\u001b[2J${"x".repeat(100_000)}`;
  const error = await assertRejects(async () =>
    await openSafetensors(fromBytes("m", makeFile(`{"${name}":${tensor("U8", [2], [0, 1])}}`, 1)))
  );
  assert(error instanceof SafetensorsError && error.message.length < 500);
  assert(!error.message.includes("\x1b"));
});

const SHARED = new URL("../../../../shared/data/parser-fixtures/candle/", import.meta.url);

Deno.test({
  name: "openSafetensors() reads a file of candle's",
  ignore: !exists(SHARED),
  async fn() {
    using file = await openSafetensors(await openFile(new URL("jfk-codes.safetensors", SHARED)));
    assertEquals(file.tensors.get("codes")?.shape, [1, 2, 828]);
    const codes = toFloat32(await file.read("codes"), "I64");
    assert(codes.length === 1656 && codes.every((code) => code >= 0 && code < 4096));
  },
});

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isDirectory;
  } catch {
    return false;
  }
}
