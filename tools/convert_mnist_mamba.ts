/**
 * Turns the `best_model.pth` of the MNIST-MAMBA project into a checkpoint folder.
 *
 *     deno run -A tools/convert_mnist_mamba.ts best_model.pth mnist-mamba
 *
 * Its input layer takes the whole image as one step. Sizes come from the tensors' shapes; what shapes do not
 * tell (the norm's epsilon, the normalization of pixels) is that project's code.
 */

import { openFile } from "../src/io/file_source.ts";
import { openPyTorchZip } from "../src/io/pytorch/pytorch_zip.ts";
import { stateDictPrefix } from "../src/io/state_dict.ts";
import { type TensorToWrite, writeSafetensors } from "../src/io/safetensors/writer.ts";
import type { TensorFile } from "../src/io/tensor_file.ts";
import { writeWhole } from "../src/io/write_whole.ts";
import { type ModelConfig, parseConfig, toHfConfig } from "../src/model/config/config.ts";
import { weightSpecs } from "../src/model/weights/weight_specs.ts";
import { answerHelp } from "./help.ts";

/** Their names for the parts outside the blocks. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["input_proj.weight", "backbone.input_proj.weight"],
  ["input_proj.bias", "backbone.input_proj.bias"],
  ["norm_f.weight", "backbone.norm_f.weight"],
  ["output_head.weight", "classifier.weight"],
  ["output_head.bias", "classifier.bias"],
]);

const SIDE = 28;

/** The official name of one of their tensors, or undefined if it is none of theirs. */
function officialName(name: string): string | undefined {
  const [, layer, rest] = /^layers\.(\d+)\.(norm\.weight|mamba\..+)$/.exec(name) ?? [];
  if (rest === undefined) return NAMES.get(name);
  return `backbone.layers.${layer}.${rest.replace(/^mamba\./, "mixer.")}`;
}

/** The model's description, from the shapes of its tensors. */
function describe(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): ModelConfig {
  const size = (name: string, dimension: number): number => {
    const found = tensors.get(name)?.shape[dimension];
    if (found === undefined) throw new TypeError(`Cannot convert: "${name}" is missing`);
    return found;
  };
  const mixer = "backbone.layers.0.mixer.";
  const d_model = size("backbone.input_proj.weight", 0);
  const n_classes = size("classifier.weight", 0);
  const layers = [...tensors.keys()].filter((name) => name.endsWith(".mixer.A_log"));
  return parseConfig({
    model_type: "mamba",
    hidden_size: d_model,
    num_hidden_layers: layers.length,
    intermediate_size: size(`${mixer}A_log`, 0),
    state_size: size(`${mixer}A_log`, 1),
    conv_kernel: size(`${mixer}conv1d.weight`, 2),
    time_step_rank: size(`${mixer}dt_proj.weight`, 1),
    layer_norm_epsilon: 1e-6,
    use_bias: true,
    use_conv_bias: true,
    input: { kind: "linear", d_input: size("backbone.input_proj.weight", 1), bias: true },
    head: { kind: "classifier", n_classes, pool: "last", bias: true },
    preprocessing: {
      kind: "image",
      width: SIDE,
      height: SIDE,
      channels: 1,
      step: "image",
      rescale: 1 / 255,
      mean: [0.1307],
      std: [0.3081],
    },
    labels: Array.from({ length: n_classes }, (_, i) => String(i)),
  });
}

/**
 * Renames the tensors of a file and describes the model that they make.
 *
 * @throws {TypeError} If a tensor is missing, unknown, or of another shape or type, by its name.
 */
export async function convertMnistMamba(
  file: TensorFile,
): Promise<{ config: ModelConfig; tensors: TensorToWrite[] }> {
  const prefix = stateDictPrefix(file);
  const tensors = new Map<string, TensorToWrite>();
  for (const { name, dtype, shape } of file.tensors.values()) {
    if (!name.startsWith(prefix)) continue;
    const official = officialName(name.slice(prefix.length));
    if (official === undefined) {
      throw new TypeError(
        `Cannot convert "${file.name}": "${name}" is not a part of an MNIST-MAMBA model`,
      );
    }
    if (dtype !== "F32") {
      throw new TypeError(`Cannot convert "${file.name}": "${name}" is ${dtype}, expected F32`);
    }
    tensors.set(official, { name: official, dtype, shape, bytes: await file.read(name) });
  }
  const config = describe(tensors);
  const specs = new Map(weightSpecs(config).map((spec) => [spec.name, spec]));
  for (const { name, shape } of specs.values()) {
    const found = tensors.get(name)?.shape;
    if (found === undefined || found.join() !== shape.join()) {
      throw new TypeError(
        `Cannot convert "${file.name}": "${name}" ` +
          (found === undefined ? "is missing" : `has shape [${found}], expected [${shape}]`),
      );
    }
  }
  const unknown = [...tensors.keys()].find((name) => !specs.has(name));
  if (unknown !== undefined) {
    throw new TypeError(`Cannot convert "${file.name}": the model has no part "${unknown}"`);
  }
  return { config, tensors: [...tensors.values()] };
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const [source, target] = Deno.args;
  const print = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  if (source === undefined || target === undefined || Deno.args.length !== 2) {
    print("Usage: deno run -A tools/convert_mnist_mamba.ts <best_model.pth> <out folder>");
    Deno.exit(2);
  }
  try {
    using file = await openPyTorchZip(await openFile(source));
    const { config, tensors } = await convertMnistMamba(file);
    await Deno.mkdir(target, { recursive: true });
    await writeWhole(
      `${target}/config.json`,
      `${JSON.stringify(toHfConfig(config), null, 2)}\n`,
    );
    await writeSafetensors(`${target}/model.safetensors`, tensors, { format: "pt" });
    print(`Wrote ${target}: ${tensors.length} tensors`);
  } catch (error) {
    print(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
