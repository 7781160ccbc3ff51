// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Writes a checkpoint of a published model's shape with random weights, in the Hugging Face form.
 *
 *     deno run --allow-read --allow-write tools/random_checkpoint.ts --shape mamba-2.8b OUT [--dtype f16] [--seed 1]
 *
 * --shape          a published model's name, such as mamba-130m, mamba2-2.7b, falcon-mamba-7b or codestral-mamba-7b
 * --dtype          f32, f16 or bf16 (default f16)
 * --seed           of the weights (default 1)
 * --shard-bytes    the largest file (default 5 GB)
 *
 * Never more than some megabytes of it are in memory.
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFloat32 } from "../src/io/dtype.ts";
import { writeWhole } from "../src/io/write_whole.ts";
import { createTensorWriter } from "../src/io/safetensors/tensor_writer.ts";
import { type ModelConfig, toHfConfig } from "../src/model/config/config.ts";
import { weightSpecs } from "../src/model/weights/weight_specs.ts";
import { shapeConfig, SHAPES } from "./bench/shapes.ts";
import { makeEmptyFolder } from "./empty_folder.ts";
import { randomPieces } from "./random_tensor.ts";
import { answerHelp } from "./help.ts";

/** What the tensors are stored as. */
export type StoredDType = "F32" | "F16" | "BF16";

/** Settings of {@linkcode writeRandomCheckpoint}. */
export interface RandomCheckpointOptions {
  /** All tensors, as `model.half()` would have them. */
  readonly dtype: StoredDType;
  readonly seed: number;
  readonly shardBytes?: number | undefined;
  /** Is told after each tensor how many bytes are written. */
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
}

/**
 * Writes config.json and weights.
 *
 * @param folder Does not exist, or is empty.
 * @returns The names of the weight files, and bytes of all tensors.
 */
export async function writeRandomCheckpoint(
  folder: string,
  config: ModelConfig,
  { dtype, seed, shardBytes, onProgress }: RandomCheckpointOptions,
): Promise<{ files: string[]; totalBytes: number }> {
  await makeEmptyFolder(folder);
  const specs = weightSpecs(config);
  const tensors = specs.map(({ name, shape }) => ({ name, dtype, shape }));
  await using writer = await createTensorWriter(folder, tensors, shardBytes);
  let writtenBytes = 0;
  for (const spec of specs) {
    for (const values of randomPieces(config, spec, seed)) {
      const bytes = fromFloat32(values, dtype);
      await writer.write(spec.name, bytes);
      writtenBytes += bytes.length;
    }
    onProgress?.(writtenBytes, writer.totalBytes);
  }
  const files = await writer.close();
  const json = JSON.stringify(toHfConfig(config), null, 2);
  await writeWhole(`${folder}/config.json`, `${json}\n`);
  return { files, totalBytes: writer.totalBytes };
}

const DTYPES: Readonly<Record<string, StoredDType>> = { f32: "F32", f16: "F16", bf16: "BF16" };

if (import.meta.main) {
  answerHelp(import.meta.url);
  const options = parseArgs(Deno.args, {
    string: ["shape", "dtype", "seed", "shard-bytes", "_"],
    default: { dtype: "f16", seed: "1" },
    unknown: (arg: string) => {
      if (arg.startsWith("-")) usage(`unknown option ${arg}`);
      return true;
    },
  });
  const [folder, ...others] = options._.map(String);
  const dtype = DTYPES[options.dtype];
  const shardBytes = options["shard-bytes"] === undefined
    ? undefined
    : Number(options["shard-bytes"]);
  const seed = Number(options.seed);
  if (folder === undefined || others.length > 0) usage("one folder is needed");
  if (options.shape === undefined) usage("--shape is needed");
  if (dtype === undefined) usage(`--dtype is ${options.dtype}`);
  if (!Number.isSafeInteger(seed)) usage(`--seed is ${options.seed}`);
  if (shardBytes !== undefined && !(shardBytes > 0)) usage("--shard-bytes is not above 0");
  try {
    const start = performance.now();
    const { files, totalBytes } = await writeRandomCheckpoint(
      folder,
      shapeConfig(options.shape),
      {
        dtype,
        seed,
        shardBytes,
        onProgress(written, total) {
          if (!Deno.stderr.isTerminal()) return;
          const percent = Math.floor(written / total * 100);
          Deno.stderr.writeSync(new TextEncoder().encode(`\r${percent}% of ${total} bytes`));
        },
      },
    );
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.error(
      `\rWrote ${folder}: ${totalBytes} bytes of tensors in ${files.length} files, ${seconds} s`,
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}

function usage(problem: string): never {
  console.error(
    `Cannot make a checkpoint: ${problem}\n` +
      "Usage: deno run --allow-read --allow-write tools/random_checkpoint.ts --shape NAME OUT " +
      "[--dtype f32|f16|bf16] [--seed N] [--shard-bytes N]\n" +
      `Shapes: ${SHAPES.join(", ")}`,
  );
  Deno.exit(2);
}
