import { assertEquals, assertThrows } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import { planLoad, type WeightDType } from "../../src/model/weights/load_plan.ts";
import type { StoredTensor, StoredTensors } from "../../src/model/weights/match_tensors.ts";
import { quantizedRowSizes } from "../../src/model/weights/quantize.ts";
import { weightBytes, weightSpecs } from "../../src/model/weights/weight_specs.ts";

const JSON_CONFIG = { d_model: 64, n_layer: 2, vocab_size: 256, ssm_cfg: {} };
const CONFIG = parseConfig({ ...JSON_CONFIG, tie_embeddings: false });
const TIED = parseConfig({ ...JSON_CONFIG, tie_embeddings: true });

/** A file of the model above, its matrices stored as `dtype`, in an order of its own. */
function fileOf(dtype: "F32" | "F16" | "int8"): StoredTensors {
  const tensors = weightSpecs(CONFIG).flatMap((spec): StoredTensor[] => {
    const { name, shape, kind, neverQuantized } = spec;
    const [rows = 0, columns = 0] = shape;
    if (kind === "vector") return [{ name, dtype: "F32", shape, sizeBytes: 0 }];
    if (dtype !== "int8") return [{ name, dtype, shape, sizeBytes: 0 }];
    if (neverQuantized) return [{ name, dtype: "BF16", shape, sizeBytes: 0 }];
    const { groups, codeBytes } = quantizedRowSizes(columns, dtype);
    return [
      { name, dtype: "I8", shape: [rows, codeBytes], sizeBytes: 0 },
      { name: `${name}_scale`, dtype: "F16", shape: [rows, groups], sizeBytes: 0 },
    ];
  }).map((info) => ({ ...info, sizeBytes: info.shape.reduce((size, n) => size * n, 2) }));
  return { name: "model", tensors: new Map(tensors.toReversed().map((info) => [info.name, info])) };
}

/** What becomes of one tensor. */
function stepOf(dtype: WeightDType, file: StoredTensors, name: string): unknown[] {
  const quantized = file.tensors.has(`${name}_scale`) ? "int8" : undefined;
  const { tensors } = planLoad(CONFIG, file, { prefix: "", dtype, quantized });
  return tensors.filter(({ stored }) => stored.name === name)
    .map(({ weight, part, transform }) => [weight.dtype, part, transform]).flat();
}

Deno.test("planLoad() gives each matrix its type and what is done to it", () => {
  const name = "backbone.layers.1.mixer.in_proj.weight";
  assertEquals(stepOf("auto", fileOf("F16"), name), ["f16", "values", "none"]);
  assertEquals(stepOf("f32", fileOf("F16"), name), ["f32", "values", "convert"]);
  assertEquals(stepOf("bf16", fileOf("F16"), name), ["bf16", "values", "convert"]);
  assertEquals(stepOf("f32", fileOf("F32"), name), ["f32", "values", "none"]);
  assertEquals(stepOf("int4", fileOf("F32"), name), ["int4", "values", "quantize"]);
  assertEquals(stepOf("auto", fileOf("int8"), name), ["int8", "codes", "none"]);
  const vector = "backbone.layers.1.mixer.A_log";
  assertEquals(stepOf("int4", fileOf("F16"), vector), ["f32", "values", "none"]);
});

Deno.test("planLoad() leaves matrices 16 bits wide that are never quantized, beside quantized ones", () => {
  const name = "backbone.layers.0.mixer.dt_proj.weight";
  assertEquals(weightSpecs(CONFIG).find((spec) => spec.name === name)?.neverQuantized, true);
  assertEquals(stepOf("int4", fileOf("F32"), name), ["f16", "values", "convert"]);
  const { tensors } = planLoad(CONFIG, fileOf("int8"), {
    prefix: "",
    dtype: "auto",
    quantized: "int8",
  });
  const step = tensors.find(({ stored }) => stored.name === name);
  assertEquals([step?.weight.dtype, step?.transform], ["bf16", "none"]);
});

Deno.test("planLoad() counts every weight once, and reads in the order of the file", () => {
  for (const dtype of ["f32", "f16", "int8", "int4"] as const) {
    const file = fileOf("F32");
    const plan = planLoad(CONFIG, file, { prefix: "", dtype });
    assertEquals(plan.weightBytes, weightBytes(CONFIG, dtype));
    assertEquals(plan.tensors.map(({ stored }) => stored.name), [...file.tensors.keys()]);
  }
  const file = fileOf("int8");
  const plan = planLoad(CONFIG, file, { prefix: "", dtype: "auto", quantized: "int8" });
  assertEquals(plan.weightBytes, weightBytes(CONFIG, "int8"));
  assertEquals(plan.weights.length, weightSpecs(CONFIG).length);
  assertEquals(plan.storedBytes, [...file.tensors.values()].reduce((n, t) => n + t.sizeBytes, 0));
});

Deno.test("planLoad() names a head that must be the embedding, and refuses another type than that stored", () => {
  const file = fileOf("F16");
  assertEquals(planLoad(CONFIG, file, { prefix: "", dtype: "auto" }).tiedHead, undefined);
  const { tiedHead, tensors } = planLoad(TIED, file, { prefix: "", dtype: "auto" });
  assertEquals(tiedHead?.name, "lm_head.weight");
  assertEquals(tensors.some(({ stored }) => stored === tiedHead), false);
  assertThrows(
    () => planLoad(CONFIG, fileOf("int8"), { prefix: "", dtype: "int4", quantized: "int8" }),
    TypeError,
    "Cannot load the weights as int4: they are stored as int8",
  );
});
