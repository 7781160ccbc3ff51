// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Writes a checkpoint with its matrices in int8 or int4, as `--dtype` makes them at load, once.
 *
 *     deno run --allow-read --allow-write tools/quantize.ts IN OUT [--dtype int8|int4]
 *
 * --dtype    int8 or int4 (default int4)
 *
 * `model.safetensors` has two tensors for a matrix: `NAME.weight`, its codes (I8, or U8 with two codes a byte), and
 * `NAME.weight_scale` (F16, one for 32 columns); src/model/weights/quantize.ts describes the bytes. `quantization_config` in
 * config.json says so. Vectors stay as they are. Not more than some megabytes of the model are in memory.
 */

import { parseArgs } from "@std/cli/parse-args";
import { describeCheckpoint } from "../src/engine/load_model.ts";
import { type Checkpoint, openCheckpoint } from "../src/io/checkpoint.ts";
import { fromFloat32, toFloat32 } from "../src/io/dtype.ts";
import { stateDictPrefix } from "../src/io/state_dict.ts";
import type { TensorDescription } from "../src/io/safetensors/writer.ts";
import { createTensorWriter, type TensorWriter } from "../src/io/safetensors/tensor_writer.ts";
import type { TensorInfo } from "../src/io/tensor_file.ts";
import { writeWhole } from "../src/io/write_whole.ts";
import { parseQuantization, toQuantizationConfig } from "../src/model/config/quantization.ts";
import { isQuantized } from "../src/model/weights/dtype.ts";
import { planLoad, type PlannedTensor } from "../src/model/weights/load_plan.ts";
import { SCALES_SUFFIX } from "../src/model/weights/match_tensors.ts";
import {
  dequantizeRows,
  type QuantizedDType,
  quantizedRowSizes,
  quantizeRows,
} from "../src/model/weights/quantize.ts";
import { makeEmptyFolder } from "./empty_folder.ts";
import { answerHelp } from "./help.ts";

/** Small files beside the weights that go with a model. */
const COMPANIONS: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "generation_config.json",
];

/** The most bytes of a tensor that are read at once. */
const PIECE_BYTES = 2 ** 24;

/** What {@linkcode quantizeCheckpoint} did. */
export interface QuantizeResult {
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Root mean square of what quantized weights are off by, over that of the weights. */
  readonly relativeError: number;
}

/**
 * Quantizes a checkpoint.
 *
 * @param source What `openCheckpoint` takes.
 * @param folder Does not exist, or is empty.
 * @throws {TypeError} If the weights are quantized already, or are not what config.json describes.
 * @throws {RangeError} If a weight is not finite.
 */
export async function quantizeCheckpoint(
  source: string,
  folder: string,
  dtype: QuantizedDType,
  onProgress: (readBytes: number, totalBytes: number) => void = () => {},
): Promise<QuantizeResult> {
  using checkpoint = await openCheckpoint(source);
  const stored = parseQuantization(checkpoint.config);
  if (stored !== undefined) {
    throw new TypeError(`Cannot quantize "${source}": its weights are ${stored} already`);
  }
  const { config } = await describeCheckpoint(checkpoint);
  const { tensors } = checkpoint;
  const plan = planLoad(config, tensors, { prefix: stateDictPrefix(tensors), dtype });
  await makeEmptyFolder(folder);
  await using writer = await createTensorWriter(folder, plan.tensors.flatMap(targetsOf));
  const squares = { weights: 0, errors: 0 };
  let readBytes = 0;
  for (const each of plan.tensors) {
    const { name, shape, sizeBytes } = each.stored;
    const rowBytes = sizeBytes / (shape[0] ?? 1);
    const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes)) * rowBytes;
    for (let start = 0; start < sizeBytes; start += step) {
      const end = Math.min(sizeBytes, start + step);
      const bytes = await tensors.read(name, start, end);
      await writePiece(writer, each, bytes, squares);
      readBytes += bytes.length;
      onProgress(readBytes, plan.storedBytes);
    }
  }
  await writer.close();
  await writeCompanions(checkpoint, folder, dtype);
  return {
    readBytes,
    writtenBytes: writer.totalBytes,
    relativeError: Math.sqrt(squares.errors / squares.weights),
  };
}

/** The tensors that one of the source becomes, by its official name. */
function targetsOf({ stored, weight }: PlannedTensor<TensorInfo>): TensorDescription[] {
  const { spec: { name, shape, kind }, dtype } = weight;
  if (kind === "vector") return [{ name, shape, dtype: stored.dtype }];
  if (!isQuantized(dtype)) return [{ name, shape, dtype: dtype === "bf16" ? "BF16" : "F16" }];
  const [rows = 0, columns = 0] = shape;
  const { groups, codeBytes } = quantizedRowSizes(columns, dtype);
  return [
    { name, shape: [rows, codeBytes], dtype: dtype === "int8" ? "I8" : "U8" },
    { name: name + SCALES_SUFFIX, shape: [rows, groups], dtype: "F16" },
  ];
}

async function writePiece(
  writer: TensorWriter,
  { stored, weight }: PlannedTensor<TensorInfo>,
  bytes: Uint8Array<ArrayBuffer>,
  squares: { weights: number; errors: number },
): Promise<void> {
  const { spec: { name, shape, kind }, dtype } = weight;
  if (kind === "vector") return await writer.write(name, bytes);
  const values = toFloat32(bytes, stored.dtype);
  if (!isQuantized(dtype)) {
    return await writer.write(name, fromFloat32(values, dtype === "bf16" ? "BF16" : "F16"));
  }
  const [, columns = 0] = shape;
  const rows = quantizeRows(values, columns, dtype);
  dequantizeRows(rows, columns, dtype).forEach((value, i) => {
    const exact = values[i] ?? NaN;
    squares.weights += exact * exact;
    squares.errors += (value - exact) * (value - exact);
  });
  await writer.write(name, rows.codes);
  await writer.write(name + SCALES_SUFFIX, new Uint8Array(rows.scales.buffer));
}

async function writeCompanions(
  checkpoint: Checkpoint,
  folder: string,
  dtype: QuantizedDType,
): Promise<void> {
  for (const name of COMPANIONS) {
    const text = await checkpoint.readText(name);
    if (text !== undefined) await writeWhole(`${folder}/${name}`, text);
  }
  const config = {
    ...Object(checkpoint.config),
    quantization_config: toQuantizationConfig(dtype),
  };
  await writeWhole(`${folder}/config.json`, `${JSON.stringify(config, null, 2)}\n`);
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const options = parseArgs(Deno.args, {
    string: ["dtype", "_"],
    default: { dtype: "int4" },
    unknown: (arg: string) => {
      if (arg.startsWith("-")) usage(`unknown option ${arg}`);
      return true;
    },
  });
  const [source, folder, ...others] = options._.map(String);
  const { dtype } = options;
  if (source === undefined || folder === undefined || others.length > 0) {
    usage("two folders are needed");
  }
  if (dtype !== "int8" && dtype !== "int4") usage(`--dtype is ${dtype}`);
  try {
    const start = performance.now();
    const result = await quantizeCheckpoint(source, folder, dtype, (done, total) => {
      if (!Deno.stderr.isTerminal()) return;
      const percent = Math.floor(done / total * 100);
      Deno.stderr.writeSync(new TextEncoder().encode(`\r${percent}% of ${total} bytes`));
    });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.error(
      `\rWrote ${folder}: ${result.readBytes} bytes became ${result.writtenBytes} in ${seconds} s; ` +
        `matrices differ by ${(100 * result.relativeError).toFixed(2)}% (root mean square)`,
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}

function usage(problem: string): never {
  console.error(
    `Cannot quantize: ${problem}\n` +
      "Usage: deno run --allow-read --allow-write tools/quantize.ts IN OUT [--dtype int8|int4]",
  );
  Deno.exit(2);
}
