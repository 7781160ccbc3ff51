import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openFile } from "../../src/io/file_source.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { float16Tensors, toFloat16 } from "../../tools/to_float16.ts";
import { quantizeCheckpoint } from "../../tools/quantize.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import "../settle_readbacks.ts";

Deno.test("toFloat16() halves the matrices, keeps the rest, and the logits hardly move", async () => {
  const target = await Deno.makeTempDir();
  try {
    const source = goldenPath("mamba1", ".");
    await toFloat16(source, target);
    using model = await openSafetensors(await openFile(`${target}/model.safetensors`));
    const config = parseConfig(JSON.parse(await Deno.readTextFile(`${target}/config.json`)));
    for (const { name, kind } of weightSpecs(config)) {
      assertEquals(model.tensors.get(name)?.dtype, kind === "matrix" ? "F16" : "F32", name);
    }
    const ids = [1, 5, 9, 2, 6, 5, 3, 5];
    const [before, after] = [source, target].map(async (folder) => {
      using loaded = await loadModel(folder);
      using session = loaded.createSession();
      return defined(await session.prefill(ids, { logits: "all" }));
    });
    const [expected, found] = [await defined(before), await defined(after)];
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = found.reduce(
      (m, value, i) => Math.max(m, Math.abs(value - (expected[i] ?? NaN))),
      0,
    );
    // float16 rounds by 2^-11 at most, and errors of many terms cancel.
    assert(error < largest * 2 ** -9, `error ${error}, largest logit ${largest}`);
  } finally {
    await Deno.remove(target, { recursive: true });
  }
});

Deno.test("float16Tensors() refuses a weight that float16 has no number for", async () => {
  const config = parseConfig({ d_model: 4, n_layer: 1, vocab_size: 5, pad_vocab_size_multiple: 1 });
  const file = encodeSafetensors(
    weightSpecs(config).map(({ name, shape }) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b)).fill(1);
      if (name.endsWith("in_proj.weight")) values[3] = -1e6;
      return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
    }),
  );
  using tensors = await openSafetensors(fromBytes("model.safetensors", file));
  await assertRejects(
    () => float16Tensors(config, tensors),
    RangeError,
    'Cannot write "backbone.layers.0.mixer.in_proj.weight" in float16: it holds -1000000',
  );
});

Deno.test("toFloat16() refuses weights that are quantized", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await quantizeCheckpoint(goldenPath("mamba1"), `${folder}/int8`, "int8");
    await assertRejects(
      () => toFloat16(`${folder}/int8`, `${folder}/out`),
      TypeError,
      `Cannot write "${folder}/int8" in float16: its weights are int8`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("toFloat16() writes over its own earlier copy alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const target = `${folder}/copy`;
    const model = `${target}/model.safetensors`;
    await toFloat16(goldenPath("mamba1", "."), target);
    const written = await Deno.readFile(model);
    // A copy that was cut short is one, too.
    await Deno.remove(`${target}/config.json`);
    await toFloat16(goldenPath("mamba1", "."), target);
    assertEquals(await Deno.readFile(model), written);
    await assertRejects(
      () => toFloat16(goldenPath("mamba2", "."), target),
      Error,
      `Cannot write to "${target}": it has "`,
    );
    await Deno.writeTextFile(`${target}/notes.txt`, "mine");
    await assertRejects(
      () => toFloat16(goldenPath("mamba1", "."), target),
      Error,
      'it has "notes.txt", which is no earlier copy of this model',
    );
    assertEquals(await Deno.readFile(model), written);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
