import { assertEquals, assertRejects } from "@std/assert";
import { loadWeights } from "../../src/engine/load_weights.ts";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import type { WeightSink } from "../../src/model/executor.ts";
import { planLoad, type WeightDType } from "../../src/model/weights/load_plan.ts";
import { elementCount } from "../../src/model/shapes.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";

const CONFIG = parseConfig({ d_model: 8, n_layer: 1, vocab_size: 16, ssm_cfg: { d_state: 4 } });
const NAME = "backbone.layers.0.mixer.in_proj.weight";

/** Takes everything and keeps nothing. */
const NOWHERE: WeightSink = {
  allocate: () => Promise.resolve(),
  writeRows() {},
  flush: () => Promise.resolve(),
  finish: () => Promise.reject(new TypeError("Cannot finish: nothing was kept")),
  [Symbol.dispose]() {},
};

/** Loads a model of zeros but for one weight. */
async function load(value: number, stored: "F32" | "F64", dtype: WeightDType): Promise<string> {
  const tensors = weightSpecs(CONFIG).map(({ name, shape }) => {
    const values = new Float64Array(elementCount(shape));
    if (name === NAME) values[5] = value;
    const typed = stored === "F64" ? values : new Float32Array(values);
    return { name, dtype: stored, shape, bytes: new Uint8Array(typed.buffer) };
  });
  using file = await openSafetensors(fromBytes("x.safetensors", encodeSafetensors(tensors)));
  return await loadWeights(NOWHERE, planLoad(CONFIG, file, { dtype, prefix: "" }), file);
}

Deno.test("loadWeights() refuses a weight that the dtype cannot hold, by the name of its tensor", async () => {
  const refused: [number, "F32" | "F64", WeightDType, string][] = [
    [70000, "F32", "f16", "it holds 70000, and 65504"],
    [-65520, "F32", "f16", "it holds -65520"],
    [3.4e38, "F32", "bf16", "3.39e38"],
    [1e300, "F64", "f32", "it holds 1e+300, and 3.40e38"],
  ];
  for (const [value, stored, dtype, expected] of refused) {
    const error = await assertRejects(() => load(value, stored, dtype), RangeError, expected);
    assertEquals(error.message.startsWith(`Cannot load "${NAME}"`), true, error.message);
  }
  await load(65519, "F32", "f16");
  await load(70000, "F32", "bf16");
  await load(70000, "F32", "auto");
});
