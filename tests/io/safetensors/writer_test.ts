import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { openSafetensors } from "../../../src/io/safetensors/safetensors.ts";
import {
  encodeSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from "../../../src/io/safetensors/writer.ts";

const GOLDEN = new URL("../../golden/", import.meta.url);

async function readAll(
  bytes: Uint8Array,
): Promise<{ tensors: TensorToWrite[]; metadata: Map<string, string> }> {
  using file = await openSafetensors(fromBytes("m", bytes));
  const tensors: TensorToWrite[] = [];
  for (const { name, dtype, shape } of file.tensors.values()) {
    tensors.push({ name, dtype, shape, bytes: await file.read(name) });
  }
  return { tensors, metadata: new Map(file.metadata) };
}

Deno.test("encodeSafetensors() gives the bytes that the official library wrote", async () => {
  let count = 0;
  for await (const folder of Deno.readDir(GOLDEN)) {
    if (!folder.isDirectory) continue;
    for await (const entry of Deno.readDir(new URL(`${folder.name}/`, GOLDEN))) {
      if (!entry.name.endsWith(".safetensors")) continue;
      const bytes = await Deno.readFile(new URL(`${folder.name}/${entry.name}`, GOLDEN));
      const { tensors, metadata } = await readAll(bytes);
      // The order of several metadata keys is not fixed there; the tensors' order must be found anew.
      tensors.reverse();
      const name = `${folder.name}/${entry.name}`;
      assertEquals(indexOfDifference(encodeSafetensors(tensors, metadata), bytes), -1, name);
      count++;
    }
  }
  assert(count > 10, `${count} golden files`);
});

Deno.test("encodeSafetensors() orders by type, then by the bytes of the name, and pads", () => {
  const one = (name: string, dtype: TensorToWrite["dtype"], sizeBytes: number): TensorToWrite => ({
    ...{ name, dtype, shape: [1], bytes: new Uint8Array(sizeBytes).fill(sizeBytes) },
  });
  const file = encodeSafetensors(
    [
      one("\u{1f600}", "F32", 4),
      one("z", "BOOL", 1),
      one("\uffff", "F32", 4),
      one('a"\n', "I64", 8),
    ],
    { k: "v\u0001/" },
  );
  // As safetensors 0.8.0 for Python writes the same four tensors.
  const header =
    `{"__metadata__":{"k":"v\\u0001/"},"a\\"\\n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},` +
    `"\uffff":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},` +
    `"\u{1f600}":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},` +
    `"z":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]}}`;
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  assertEquals(length % 8, 0);
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  assertEquals(text.trimEnd(), header);
  assertEquals([...file.subarray(8 + length)], [...Array(8).fill(8), ...Array(8).fill(4), 1]);
  assertEquals([...encodeSafetensors([])], [
    8,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    ...new TextEncoder().encode("{}      "),
  ]);
});

Deno.test("encodeSafetensors() refuses what could not be read again", () => {
  const good = { name: "a", dtype: "U8", shape: [2], bytes: new Uint8Array(2) } as const;
  assertThrows(() => encodeSafetensors([good, good]), TypeError, "unique");
  assertThrows(() => encodeSafetensors([{ ...good, name: "__metadata__" }]), TypeError, "unique");
  assertThrows(() => encodeSafetensors([{ ...good, shape: [3] }]), TypeError, "needs 3");
  assertThrows(() => encodeSafetensors([{ ...good, shape: [-2] }]), TypeError, "whole numbers");
  assertThrows(() => encodeSafetensors([{ ...good, name: "\ud800" }]), TypeError, "well-formed");
});

Deno.test("writeSafetensors() replaces a file, and leaves it alone when it fails", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/m.safetensors`;
    const tensors = [{
      name: "a",
      dtype: "U8",
      shape: [3],
      bytes: Uint8Array.of(1, 2, 3),
    }] as const;
    await Deno.writeTextFile(path, "before");
    await writeSafetensors(path, tensors, [["k", "v"]]);
    const written = await Deno.readFile(path);
    assertEquals(written, encodeSafetensors(tensors, { k: "v" }));

    const broken = [{ ...tensors[0], name: "b", bytes: new Uint8Array(4) }];
    await assertRejects(() => writeSafetensors(path, broken), TypeError, "needs 3");
    await Deno.mkdir(`${folder}/taken`);
    await assertRejects(() => writeSafetensors(`${folder}/taken`, tensors));
    await writeSafetensors(new URL(`file://${folder}/by url`), tensors);
    const names = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name).sort();
    assertEquals(names, ["by url", "m.safetensors", "taken"]);
    assertEquals(await Deno.readFile(path), written);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

function indexOfDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  return a.findIndex((byte, i) => byte !== b[i]);
}
