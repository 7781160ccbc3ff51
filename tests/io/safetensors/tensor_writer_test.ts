import { assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../src/io/checkpoint.ts";
import { encodeSafetensors, type TensorToWrite } from "../../../src/io/safetensors/writer.ts";
import { createTensorWriter } from "../../../src/io/safetensors/tensor_writer.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}

function tensor(name: string, dtype: "U8" | "F16" | "F32", shape: number[]): TensorToWrite {
  const size = { U8: 1, F16: 2, F32: 4 }[dtype];
  const length = shape.reduce((product, n) => product * n, size);
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + name.length * 31 + length) % 256);
  return { name, dtype, shape, bytes };
}

const TENSORS = [
  tensor("codes", "U8", [3, 5]),
  tensor("scales", "F16", [3, 1]),
  tensor("scalar", "F32", []),
  tensor("empty", "F32", [0, 4]),
  tensor("vector", "F32", [7]),
];

/** Writes all tensors, each in pieces of 4 bytes, a piece of each in turn. */
async function writeInterleaved(folder: string, maxShardBytes?: number): Promise<string[]> {
  await using writer = await createTensorWriter(folder, TENSORS, maxShardBytes);
  assertEquals(writer.totalBytes, TENSORS.reduce((sum, { bytes }) => sum + bytes.length, 0));
  for (let start = 0; start < 28; start += 4) {
    for (const { name, bytes } of TENSORS) {
      await writer.write(name, bytes.subarray(start, start + 4));
    }
  }
  return await writer.close();
}

Deno.test("createTensorWriter() writes what encodeSafetensors() does, in any order of pieces", () =>
  inFolder(async (folder) => {
    assertEquals(await writeInterleaved(folder), ["model.safetensors"]);
    assertEquals(names(folder), ["model.safetensors"]);
    const expected = encodeSafetensors(TENSORS, { format: "pt" });
    assertEquals(await Deno.readFile(`${folder}/model.safetensors`), expected);
  }));

Deno.test("createTensorWriter() cuts into shards that open as one, a larger tensor alone in its own", () =>
  inFolder(async (folder) => {
    const files = await writeInterleaved(folder, 22);
    const shards = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`);
    assertEquals(files, [...shards, "model.safetensors.index.json"]);
    assertEquals(names(folder), files.toSorted());
    await Deno.writeTextFile(`${folder}/config.json`, "{}");
    using checkpoint = await openCheckpoint(folder);
    for (const { name, dtype, shape, bytes } of TENSORS) {
      const info = checkpoint.tensors.tensors.get(name);
      assertEquals([info?.dtype, info?.shape], [dtype, shape]);
      assertEquals(await checkpoint.tensors.read(name), bytes);
    }
    const index = JSON.parse(await Deno.readTextFile(`${folder}/${files.at(-1)}`));
    assertEquals(index.metadata, { total_size: 53 });
    assertEquals(index.weight_map.vector, shards[2]);
  }));

Deno.test("createTensorWriter() leaves nothing behind unless every tensor is complete", () =>
  inFolder(async (folder) => {
    await assertRejects(
      async () => {
        await using writer = await createTensorWriter(folder, TENSORS);
        await writer.write("codes", new Uint8Array(14));
        await writer.close();
      },
      RangeError,
      'Cannot finish tensor "scalar": 0 bytes came, and it has 4',
    );
    await assertRejects(
      async () => {
        await using writer = await createTensorWriter(folder, TENSORS, 1);
        await writer.write("codes", new Uint8Array(14));
        await writer.write("codes", new Uint8Array(2));
      },
      RangeError,
      'Cannot write 2 bytes of tensor "codes": it has 14 of 15',
    );
    await assertRejects(
      async () => {
        await using writer = await createTensorWriter(folder, TENSORS);
        await writer.write("other", new Uint8Array(1));
      },
      RangeError,
      '"other"',
    );
    await assertRejects(() => createTensorWriter(folder, [...TENSORS, ...TENSORS], 8), TypeError);
    await assertRejects(() => createTensorWriter(`${folder}/none`, TENSORS), Error, "Cannot write");
    assertEquals(names(folder), []);
  }));
