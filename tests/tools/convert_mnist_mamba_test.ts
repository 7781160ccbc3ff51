import { assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openFile } from "../../src/io/file_source.ts";
import { openPyTorchZip } from "../../src/io/pytorch/pytorch_zip.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors, type TensorToWrite } from "../../src/io/safetensors/writer.ts";
import { parseConfig, toHfConfig } from "../../src/model/config/config.ts";
import { convertMnistMamba } from "../../tools/convert_mnist_mamba.ts";
import { mamba1Config } from "../mamba1_config.ts";

const SOURCE = new URL("../../../shared/data/mnist-mamba/best_model.pth", import.meta.url);

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

/** A file with the names of an MNIST-MAMBA model of two blocks: d_model 4, d_state 3, d_conv 5, dt_rank 2. */
const SHAPES: Readonly<Record<string, number[]>> = {
  "input_proj.weight": [4, 784],
  "input_proj.bias": [4],
  ...Object.fromEntries([0, 1].flatMap((layer) =>
    Object.entries({
      "norm.weight": [4],
      "mamba.A_log": [8, 3],
      "mamba.D": [8],
      "mamba.in_proj.weight": [16, 4],
      "mamba.in_proj.bias": [16],
      "mamba.conv1d.weight": [8, 1, 5],
      "mamba.conv1d.bias": [8],
      "mamba.x_proj.weight": [8, 8],
      "mamba.dt_proj.weight": [8, 2],
      "mamba.dt_proj.bias": [8],
      "mamba.out_proj.weight": [4, 8],
      "mamba.out_proj.bias": [4],
    }).map(([name, shape]) => [`layers.${layer}.${name}`, shape])
  )),
  "norm_f.weight": [4],
  "output_head.weight": [10, 4],
  "output_head.bias": [10],
};

async function convert(shapes: Readonly<Record<string, number[]>>, dtype: "F32" | "F16" = "F32") {
  const tensors = Object.entries(shapes).map(([name, shape], i): TensorToWrite => {
    const size = shape.reduce((a, b) => a * b, dtype === "F32" ? 4 : 2);
    return { name: `model_state_dict.${name}`, dtype, shape, bytes: new Uint8Array(size).fill(i) };
  });
  using file = await openSafetensors(fromBytes("their.pth", encodeSafetensors(tensors)));
  return await convertMnistMamba(file);
}

Deno.test("convertMnistMamba() renames every tensor and derives the sizes from their shapes", async () => {
  const { config, tensors } = await convert(SHAPES);
  assertEquals(tensors.length, Object.keys(SHAPES).length);
  const own = tensors.find(({ name }) => name === "backbone.layers.1.mixer.dt_proj.bias");
  assertEquals(own?.bytes[0], Object.keys(SHAPES).indexOf("layers.1.mamba.dt_proj.bias"));
  const { d_model, n_layer, d_inner, d_state, d_conv, dt_rank, labels } = mamba1Config(config);
  assertEquals([d_model, n_layer, d_inner, d_state, d_conv, dt_rank], [4, 2, 8, 3, 5, 2]);
  assertEquals(labels?.length, 10);
  assertEquals(parseConfig(toHfConfig(config)), config);
});

Deno.test("convertMnistMamba() refuses tensors that are missing, unknown or misshapen, by name", async () => {
  const without = (name: string) =>
    Object.fromEntries(Object.entries(SHAPES).filter(([key]) => key !== name));
  const cases: [Readonly<Record<string, number[]>>, string][] = [
    [without("output_head.bias"), '"classifier.bias" is missing'],
    [without("layers.1.mamba.D"), '"backbone.layers.1.mixer.D" is missing'],
    [without("input_proj.weight"), '"backbone.input_proj.weight" is missing'],
    [{ ...SHAPES, "dropout.weight": [1] }, '"model_state_dict.dropout.weight" is not a part'],
    [{ ...SHAPES, "layers.0.mamba.extra": [1] }, 'no part "backbone.layers.0.mixer.extra"'],
    [{ ...SHAPES, "norm_f.weight": [5] }, '"backbone.norm_f.weight" has shape [5], expected [4]'],
  ];
  for (const [shapes, message] of cases) {
    await assertRejects(() => convert(shapes), TypeError, message);
  }
  await assertRejects(() => convert(SHAPES, "F16"), TypeError, "is F16, expected F32");
});

Deno.test(
  "convertMnistMamba() converts the published checkpoint",
  { ignore: !exists(SOURCE) },
  async () => {
    using file = await openPyTorchZip(await openFile(SOURCE));
    const { config, tensors } = await convertMnistMamba(file);
    const { d_model, n_layer, d_state, d_conv, dt_rank, norm_epsilon } = mamba1Config(config);
    assertEquals([d_model, n_layer, d_state, d_conv, dt_rank, norm_epsilon], [
      16,
      1,
      8,
      5,
      1,
      1e-6,
    ]);
    const floats = tensors.reduce((sum, { bytes }) => sum + bytes.byteLength / 4, 0);
    assertEquals(floats, 15466);
  },
);
