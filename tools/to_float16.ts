/**
 * Writes a checkpoint folder again with its matrices in float16: half the size.
 *
 *     deno run --allow-read --allow-write tools/to_float16.ts trained/shakespeare weights/shakespeare
 *
 * Vectors, convolutions and all that shapes the recurrence (A_log, D, dt_proj.bias, norms) stay as they are: they are
 * few, and an error in them adds up over the steps. config.json stays as it is, too: its torch_dtype is what
 * `transformers` computes in, and f32 over these weights is what Slither computes in.
 *
 * The out folder is new, empty, or what this wrote before from a model of the same shape, which gives way.
 */

import { openCheckpoint } from "../src/io/checkpoint.ts";
import { fromFloat32, toFloat32 } from "../src/io/dtype.ts";
import { openFile } from "../src/io/file_source.ts";
import { openSafetensors } from "../src/io/safetensors/safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "../src/io/safetensors/writer.ts";
import { stateDictPrefix } from "../src/io/state_dict.ts";
import type { TensorFile } from "../src/io/tensor_file.ts";
import { isLeftover, writeWhole } from "../src/io/write_whole.ts";
import { type ModelConfig, parseConfig } from "../src/model/config/config.ts";
import { parseQuantization } from "../src/model/config/quantization.ts";
import { matchTensors } from "../src/model/weights/match_tensors.ts";
import { answerHelp } from "./help.ts";

const MODEL = "model.safetensors";

/** Copied as they are, where they are there. */
const COPIED = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/**
 * The tensors of a model, its matrices in float16.
 *
 * @throws {TypeError} If the file is not of the model that the config describes.
 * @throws {RangeError} If a value is beyond float16's range, by the name of its tensor.
 */
export async function float16Tensors(
  config: ModelConfig,
  file: TensorFile,
): Promise<TensorToWrite[]> {
  const tensors: TensorToWrite[] = [];
  const prefix = stateDictPrefix(file);
  for (const { spec: { name, kind }, info } of matchTensors(config, file, { prefix })) {
    const { dtype, shape } = info;
    const stored = await file.read(info.name);
    if (kind !== "matrix") {
      tensors.push({ name, dtype, shape, bytes: stored });
      continue;
    }
    const values = toFloat32(stored, dtype);
    const bytes = fromFloat32(values, "F16");
    const lost = toFloat32(bytes, "F16").findIndex((value) => !Number.isFinite(value));
    if (lost >= 0) {
      throw new RangeError(
        `Cannot write "${name}" in float16: it holds ${
          values[lost]
        }, and 65504 is the largest number`,
      );
    }
    tensors.push({ name, dtype: "F16", shape, bytes });
  }
  return tensors;
}

/** Empties a folder of an earlier copy, whole or cut short; refuses one that holds anything else, and leaves that as it is. */
async function removeEarlier(
  target: string,
  tensors: readonly TensorToWrite[],
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(target))).map(({ name }) => name);
  for (const name of names) {
    const path = `${target}/${name}`;
    const isOwn = isLeftover(name) ||
      (name === MODEL
        ? await holdsAlike(path, tensors)
        : texts.has(name) && await Deno.readTextFile(path) === texts.get(name));
    if (isOwn) continue;
    throw new Error(
      `Cannot write to "${target}": it has "${name}", which is no earlier copy of this model, ` +
        "expected an empty folder",
    );
  }
  for (const name of names) await Deno.remove(`${target}/${name}`);
}

/** Whether a file holds tensors of these names, dtypes and shapes, and no others. */
async function holdsAlike(path: string, tensors: readonly TensorToWrite[]): Promise<boolean> {
  using file = await openSafetensors(await openFile(path));
  return file.tensors.size === tensors.length && tensors.every(({ name, dtype, shape }) => {
    const found = file.tensors.get(name);
    return found?.dtype === dtype && String(found.shape) === String(shape);
  });
}

/** Writes one folder from another, and says what it wrote. */
export async function toFloat16(source: string, target: string): Promise<string> {
  using checkpoint = await openCheckpoint(source);
  const quantized = parseQuantization(checkpoint.config);
  if (quantized !== undefined) {
    throw new TypeError(
      `Cannot write "${source}" in float16: its weights are ${quantized}. Take the folder they came from`,
    );
  }
  const config = parseConfig(checkpoint.config, `${source}/config.json`);
  const tensors = await float16Tensors(config, checkpoint.tensors);
  const texts = new Map<string, string>();
  for (const name of COPIED) {
    const text = await checkpoint.readText(name);
    if (text !== undefined) texts.set(name, text);
  }
  await Deno.mkdir(target, { recursive: true });
  await removeEarlier(target, tensors, texts);
  await writeSafetensors(`${target}/${MODEL}`, tensors, { format: "pt" });
  for (const [name, text] of texts) await writeWhole(`${target}/${name}`, text);
  const size = tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return `Wrote ${target}: ${tensors.length} tensors, ${(size / 1e6).toFixed(1)} MB`;
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const [source, target] = Deno.args;
  const print = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  if (source === undefined || target === undefined || Deno.args.length !== 2) {
    print("Usage: deno run --allow-read --allow-write tools/to_float16.ts <folder> <out folder>");
    Deno.exit(2);
  }
  try {
    print(await toFloat16(source, target));
  } catch (error) {
    print(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
