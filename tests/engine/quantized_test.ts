import { assert, assertEquals, assertRejects } from "@std/assert";
import { type QuantizedDType, quantizeRows } from "../../src/model/weights/quantize.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import {
  goldenPath,
  type GoldenTensor,
  readGoldenConfig,
  readGoldenJson,
  readGoldenTensors,
  tensorData,
} from "../golden_files.ts";
import { dequantize } from "../../src/checks/reference/dequantize.ts";
import { mambaModelFwd } from "../../src/checks/reference/mamba.ts";
import { eachBackend } from "./each_backend.ts";

/** What the field accepts of a whole model in f32: the reference gets the same weights, dequantized exactly. */
const LOGITS = { rtol: 1e-3, atol: 1e-3 };
const DTYPES: readonly QuantizedDType[] = ["int8", "int4"];

/** What a model's tensor is after quantization: matrices by code and scale, dt_proj in 16 bits, the rest as it was. */
function asQuantized(
  folder: string,
  name: string,
  { shape, data }: GoldenTensor,
  dtype: QuantizedDType,
): ArrayLike<number> {
  if (!name.endsWith(".weight") || shape.length !== 2) return data;
  if (name.endsWith("dt_proj.weight")) {
    return folder.endsWith("bf16") ? data : Float32Array.from(new Float16Array(data));
  }
  const [rows = 0, columns = 0] = shape;
  const { codes, scales } = quantizeRows(data, columns, dtype);
  const bits = dtype === "int8" ? 8 : 4;
  return dequantize(codes, new Float16Array(scales.buffer), { rows, columns, bits });
}

function argmax(values: ArrayLike<number>): number {
  return Array.from(values).reduce(
    (best, value, index) => value > (values[best] ?? NaN) ? index : best,
    0,
  );
}

/** How far logits are from the unquantized model's: printed, since it is a property of the weights and not a limit. */
function report(label: string, logits: Float32Array, exact: Float32Array, width: number): void {
  let squares = 0;
  let errors = 0;
  let largest = 0;
  let agreeing = 0;
  const rows = logits.length / width;
  for (const [i, value] of exact.entries()) {
    const error = Math.abs((logits[i] ?? NaN) - value);
    squares += value * value;
    errors += error * error;
    largest = Math.max(largest, error);
  }
  for (let row = 0; row < rows; row++) {
    const of = (all: Float32Array) => argmax(all.subarray(row * width, (row + 1) * width));
    agreeing += of(logits) === of(exact) ? 1 : 0;
  }
  // deno-lint-ignore no-console -- the figures belong in the test output
  console.log(
    `${label}: logits differ by ${
      (100 * Math.sqrt(errors / squares)).toFixed(2)
    }% (root mean square), at most ` +
      `${largest.toFixed(4)}; top-1 equal at ${agreeing} of ${rows} positions`,
  );
}

const FOLDERS = [
  ...["mamba1", "mamba1-odd", "mamba1-f16", "mamba1-odd-bf16"],
  ...["falcon-mamba", "mamba2", "mamba2-groups"],
];

for (const folder of FOLDERS) {
  const tensors = readGoldenTensors(folder, "model.safetensors");
  const config = readGoldenConfig(folder);
  const ids = readGoldenJson<number[]>(folder, "ids.json");
  const exact = defined(tensorData(readGoldenTensors(folder, "expected.safetensors")).logits);
  const width = exact.length / ids.length;

  for (const dtype of DTYPES) {
    eachBackend(
      `prefill() and step() of ${folder} as ${dtype} give the logits of the dequantized weights`,
      async (loadModel) => {
        const weights = Object.fromEntries(
          Object.entries(tensors).map((
            [name, each],
          ) => [name, asQuantized(folder, name, each, dtype)]),
        );
        const expected = mambaModelFwd(weights, config, ids, { batch: 1, seqlen: ids.length });
        using model = await loadModel(goldenPath(folder), { dtype });
        using session = model.createSession();
        const logits = defined(await session.prefill(ids, { logits: "all" }));
        assertClose(logits, expected.logits, { ...LOGITS, name: "logits" });
        report(`${folder} as ${dtype}`, logits, exact, width);
        session.reset();
        for (const [t, id] of ids.slice(0, 6).entries()) {
          assertClose(
            await session.step(id),
            expected.logits.subarray(t * width, (t + 1) * width),
            { ...LOGITS, name: `step ${t}` },
          );
        }
      },
    );
  }
}

for (const dtype of DTYPES) {
  eachBackend(
    `classify() of a classifier as ${dtype} gives what its dequantized weights give`,
    async (loadModel) => {
      const tensors = readGoldenTensors("classifier", "model.safetensors");
      const weights = Object.fromEntries(
        Object.entries(tensors).map((
          [name, each],
        ) => [name, asQuantized("classifier", name, each, dtype)]),
      );
      const inputs = defined(
        tensorData(readGoldenTensors("classifier", "expected.safetensors")).inputs,
      );
      const { logits } = mambaModelFwd(weights, readGoldenConfig("classifier"), inputs, {
        batch: 1,
        seqlen: inputs.length / 3,
      });
      using model = await loadModel(goldenPath("classifier"), { dtype });
      using session = model.createSession();
      const got = defined(await session.prefill(inputs, { logits: "all" }));
      assertClose(got, logits, { ...LOGITS, name: "logits" });
    },
  );
}

eachBackend(
  "loadModel() takes a quarter of the memory as int8, and less as int4",
  async (loadModel) => {
    const sizes: Record<string, number> = {};
    for (const dtype of ["f32", "f16", "int8", "int4"] as const) {
      using model = await loadModel(goldenPath("mamba1"), { dtype });
      sizes[dtype] = model.weightBytes;
      assertEquals(model.deviceBytes >= model.weightBytes, true);
    }
    const { f32 = 0, f16 = 0, int8 = 0, int4 = 0 } = sizes;
    assert(int4 < int8 && int8 < f16 && f16 < f32, JSON.stringify(sizes));
  },
);

eachBackend("loadModel() says which weight cannot be quantized", async (loadModel) => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(goldenPath("mamba1", "config.json"), `${folder}/config.json`);
    const bytes = await Deno.readFile(goldenPath("mamba1", "model.safetensors"));
    const view = new DataView(bytes.buffer);
    const header = Number(view.getBigUint64(0, true));
    const json: Record<string, { data_offsets: [number, number] }> = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, 8 + header)),
    );
    const [start] = defined(json["backbone.layers.1.mixer.x_proj.weight"]).data_offsets;
    view.setFloat32(8 + header + start + 4 * 128 * 2, NaN, true);
    await Deno.writeFile(`${folder}/model.safetensors`, bytes);
    await assertRejects(
      () => loadModel(folder, { dtype: "int4" }),
      RangeError,
      'Cannot load "backbone.layers.1.mixer.x_proj.weight", from row 0 on: Cannot quantize to int4: ' +
        "columns 0 to 31 of row 2 need a scale of NaN",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
