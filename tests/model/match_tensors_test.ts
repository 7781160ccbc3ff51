import { assertEquals, assertThrows } from "@std/assert";
import { embeddingRows, matchTensors } from "../../src/model/weights/match_tensors.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import type { TensorFile } from "../../src/io/tensor_file.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { goldenPath } from "../golden_files.ts";

/** The same file with other names in it. */
function renamed(file: TensorFile, rename: (name: string) => string): TensorFile {
  const infos = [...file.tensors.values()].map((info) => ({ ...info, name: rename(info.name) }));
  return {
    name: file.name,
    tensors: new Map(infos.map((info) => [info.name, info])),
    metadata: file.metadata,
    read: file.read.bind(file),
    [Symbol.dispose]() {},
  };
}

for (const name of ["mamba1", "mamba1-odd-raw", "mamba2", "falcon-mamba"]) {
  Deno.test(`matchTensors() finds the tensors of ${name} saved without its head, as transformers names them`, async () => {
    using checkpoint = await openCheckpoint(goldenPath(name));
    const { tensors: file } = checkpoint;
    const config = parseConfig(checkpoint.config, "config.json", embeddingRows(file, ""));
    const bare = renamed(file, (name) => name.replace(/^backbone\./, ""));
    const official = (file: TensorFile) =>
      matchTensors(config, file, { prefix: "" }).map(({ spec }) => spec.name);
    assertEquals(official(bare), official(file));
    assertEquals(embeddingRows(bare, ""), embeddingRows(file, ""));
    const other = renamed(file, (name) => name.replace(/^backbone\./, "model."));
    assertThrows(() => official(other), TypeError, "has no such tensor");
  });
}

Deno.test("matchTensors() passes over what trainers count beside a model, and over nothing else", async () => {
  using checkpoint = await openCheckpoint(goldenPath("mamba1"));
  const config = parseConfig(checkpoint.config);
  const { tensors: file } = checkpoint;
  const beside = (name: string, shape: readonly number[]) => ({
    name: file.name,
    tensors: new Map([...file.tensors, [name, { name, shape, dtype: "I64", sizeBytes: 8 }]]),
  });
  const plain = matchTensors(config, file, { prefix: "" });
  const counted = matchTensors(config, beside("n_averaged", []), { prefix: "" });
  assertEquals(counted.length, plain.length);
  assertThrows(
    () => matchTensors(config, beside("extra.weight", [1]), { prefix: "" }),
    TypeError,
    '"extra.weight"',
  );
});
