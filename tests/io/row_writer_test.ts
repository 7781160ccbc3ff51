import { assertEquals, assertRejects } from "@std/assert";
import { createRowWriter } from "../../src/io/row_writer.ts";
import { openFile } from "../../src/io/file_source.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const list = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);

Deno.test("createRowWriter() writes a safetensors file piece by piece", () =>
  inFolder(async (folder) => {
    const path = `${folder}/out.safetensors`;
    {
      await using writer = await createRowWriter(path, "logits", [3, 2]);
      await writer.write(Float32Array.of(1, 2, 3, 4));
      assertEquals((await list(folder)).includes("out.safetensors"), false);
      await writer.write(Float32Array.of(0, 5, 6).subarray(1));
      await writer.close();
    }
    assertEquals(await list(folder), ["out.safetensors"]);
    using file = await openSafetensors(await openFile(path));
    assertEquals(file.tensors.get("logits")?.shape, [3, 2]);
    const bytes = await file.read("logits");
    assertEquals(new Float32Array(bytes.buffer), Float32Array.of(1, 2, 3, 4, 5, 6));
  }));

Deno.test("createRowWriter() leaves nothing beside a place that it cannot take", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/out`);
    const write = async (path: string) => {
      await using writer = await createRowWriter(path, "logits", [1]);
      await writer.write(Float32Array.of(1));
      await writer.close();
    };
    for (const path of [`${folder}/out`, `${folder}/none/out`]) {
      const error = await assertRejects(() => write(path), Error, `Cannot write "${path}": `);
      assertEquals(error.message.includes(".tmp"), false, error.message);
    }
    assertEquals(await list(folder), ["out"]);
  }));

Deno.test("createRowWriter() refuses an incomplete tensor, and leaves what was there", () =>
  inFolder(async (folder) => {
    const path = `${folder}/out.safetensors`;
    await Deno.writeTextFile(path, "before");
    await assertRejects(
      async () => {
        await using writer = await createRowWriter(path, "logits", [3, 2]);
        await writer.write(Float32Array.of(1, 2));
        await writer.close();
      },
      RangeError,
      "8 bytes came, and shape [3, 2] needs 24",
    );
    assertEquals(await list(folder), ["out.safetensors"]);
    assertEquals(await Deno.readTextFile(path), "before");
  }));
