import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, loadModel } from "../../mod.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { quantizeCheckpoint } from "../../tools/quantize.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson, readGoldenTensors } from "../golden_files.ts";
import "../settle_readbacks.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Logits of the last of some steps. */
async function logitsOf(folder: string, dtype: "auto" | "int8" | "int4"): Promise<Float32Array> {
  using model = await loadModel(folder, { dtype });
  using session = model.createSession();
  const inputs = model.config.input.kind === "embedding"
    ? Array.from({ length: 9 }, (_, i) => i * i)
    : Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
  return await session.prefill(inputs, { logits: "last" }) ?? new Float32Array();
}

const GOLDEN = [
  ...["mamba1", "mamba1-bf16", "mamba1-sharded", "mamba1-odd-raw", "classifier-last"],
  ...["falcon-mamba", "mamba2-groups", "mamba2-raw", "codestral"],
];

for (const golden of GOLDEN) {
  for (const dtype of ["int8", "int4"] as const) {
    Deno.test(`quantizeCheckpoint() writes ${golden} as ${dtype}: the bits that loading it so gives`, () =>
      inFolder(async (parent) => {
        const folder = `${parent}/quantized`;
        const { readBytes, writtenBytes, relativeError } = await quantizeCheckpoint(
          goldenPath(golden),
          folder,
          dtype,
        );
        assert(writtenBytes < readBytes);
        assert(relativeError > 0 && relativeError < (dtype === "int8" ? 0.006 : 0.1));
        const atLoad = await logitsOf(goldenPath(golden), dtype);
        assertEquals(await logitsOf(folder, "auto"), atLoad);
        assertEquals(await logitsOf(folder, dtype), atLoad);
      }));
  }
}

Deno.test("quantizeCheckpoint() takes the tokenizer along, and refuses what is quantized or in the way", () =>
  inFolder(async (parent) => {
    const folder = `${parent}/quantized`;
    await quantizeCheckpoint(goldenPath("mamba1"), folder, "int8");
    assertEquals(
      await Deno.readTextFile(`${folder}/tokenizer.json`),
      await Deno.readTextFile(goldenPath("mamba1", "tokenizer.json")),
    );
    await assertRejects(
      () => quantizeCheckpoint(folder, `${parent}/again`, "int4"),
      TypeError,
      "its weights are int8 already",
    );
    await assertRejects(
      () => quantizeCheckpoint(goldenPath("mamba1"), folder, "int4"),
      Error,
      "expected an empty folder",
    );
  }));

Deno.test("loadModel() refuses a quantized folder as another dtype, or in a form that is not ours", () =>
  inFolder(async (parent) => {
    const folder = `${parent}/quantized`;
    await quantizeCheckpoint(goldenPath("mamba1"), folder, "int4");
    await assertRejects(
      () => loadModel(folder, { dtype: "f16" }),
      TypeError,
      'Cannot load the weights as f16: they are stored as int4. Load them with dtype "auto"',
    );
    const { quantization_config, ...config } = JSON.parse(
      await Deno.readTextFile(`${folder}/config.json`),
    );
    assertEquals(quantization_config, {
      quant_method: "slither",
      bits: 4,
      group_size: 32,
      symmetric: true,
    });
    const cases: [unknown, typeof ConfigError | typeof TypeError, string][] = [
      [
        { ...quantization_config, quant_method: "gptq" },
        ConfigError,
        'is "gptq", expected "slither"',
      ],
      [{ bits: 4, group_size: 32 }, ConfigError, "quantization_config.quant_method is absent"],
      [{ ...quantization_config, bits: 5 }, ConfigError, "expected 4 or 8"],
      [{ ...quantization_config, group_size: 128 }, ConfigError, "expected 32"],
      [{ ...quantization_config, symmetric: false }, ConfigError, "symmetric is false"],
      [{ ...quantization_config, bits: 8 }, TypeError, "need [256, 64]"],
      [undefined, TypeError, "has no such tensor"],
    ];
    for (const [quantization_config, type, message] of cases) {
      await Deno.writeTextFile(
        `${folder}/config.json`,
        JSON.stringify({ ...config, quantization_config }),
      );
      await assertRejects(() => loadModel(folder), type, message);
    }
  }));

Deno.test("a head that differs from the embedding in its scales alone is not taken for tied", () =>
  inFolder(async (parent) => {
    const tensors = readGoldenTensors("mamba1", "model.safetensors");
    const embedding = defined(tensors["backbone.embeddings.weight"]);
    const { shape } = embedding;
    tensors["lm_head.weight"] = { shape, data: embedding.data.map((value) => 2 * value) };
    await Deno.writeFile(
      `${parent}/model.safetensors`,
      encodeSafetensors(
        Object.entries(tensors).map(([name, { shape, data }]) => ({
          name,
          dtype: "F32",
          shape,
          bytes: new Uint8Array(data.buffer),
        })),
      ),
    );
    const config = readGoldenJson<Record<string, unknown>>(
      "mamba1-raw",
      "config.json",
    );
    await Deno.writeTextFile(`${parent}/config.json`, JSON.stringify(config));
    const folder = `${parent}/quantized`;
    await quantizeCheckpoint(parent, folder, "int8");
    using tied = await loadModel(goldenPath("mamba1"), { dtype: "int8" });
    using untied = await loadModel(folder);
    const [small, large] = await Promise.all([tied, untied].map(async (model) => {
      using session = model.createSession();
      return defined(await session.prefill([1, 2, 3], { logits: "last" }));
    }));
    assertEquals(large, small?.map((value) => 2 * value));
  }));
