/** What a run leaves on disk: the model as infer.ts loads it, and beside it what resuming needs. */

import { fromBytes } from "../../io/byte_source.ts";
import { toFloat32 } from "../../io/dtype.ts";
import { openSafetensors, SafetensorsError } from "../../io/safetensors/safetensors.ts";
import {
  encodeSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from "../../io/safetensors/writer.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import { writeWhole } from "../../io/write_whole.ts";
import { type ModelConfig, toHfConfig } from "../../model/config/config.ts";
import type { NamedValues } from "../../model/training_executor.ts";
import { weightSpecs } from "../../model/weights/weight_specs.ts";
import type { Position } from "../batches.ts";
import { RUN_FILES } from "./run_files.ts";
import type { Saved } from "../trainer.ts";

/** A point of a run: the same point gives the same bits from there on. */
export interface ResumePoint extends Saved {
  /** Steps done. */
  readonly step: number;
  /** Where the next batch begins. */
  readonly position: Position;
  /** The best validation loss so far; Infinity before the first. */
  readonly bestLoss: number;
  /** Evaluations since the one that gave it. */
  readonly sinceBest: number;
}

/** What names of carried states begin with in it. */
const STATE_PREFIX = "state.";

/**
 * What `transformers` needs beside tokenizer.json. Without it the class is guessed from the model's, and that one cuts text
 * into words by a rule of its own: line ends and spaces are lost.
 */
const TOKENIZER_CONFIG = {
  tokenizer_class: "PreTrainedTokenizerFast",
  clean_up_tokenization_spaces: false,
  // The class would add token types, which Mamba does not take.
  model_input_names: ["input_ids", "attention_mask"],
};

/** Writes config.json and, where the model has one, tokenizer.json with what belongs to it. */
export async function writeDescription(
  folder: string,
  config: ModelConfig,
  tokenizer: string | undefined,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await writeWhole(`${folder}/${RUN_FILES.config}`, toJson(toHfConfig(config)));
  if (tokenizer === undefined) return;
  await writeWhole(`${folder}/${RUN_FILES.tokenizer}`, tokenizer);
  await writeWhole(`${folder}/${RUN_FILES.tokenizerConfig}`, toJson(TOKENIZER_CONFIG));
}

/** The same files and the model's, as bytes: for who has no folder to write to. */
export function encodeCheckpoint(
  config: ModelConfig,
  values: NamedValues,
  tokenizer: string | undefined,
): Map<string, Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  files.set(RUN_FILES.config, encoder.encode(toJson(toHfConfig(config))));
  if (tokenizer !== undefined) {
    files.set(RUN_FILES.tokenizer, encoder.encode(tokenizer));
    files.set(RUN_FILES.tokenizerConfig, encoder.encode(toJson(TOKENIZER_CONFIG)));
  }
  const tensors = tensorsOf(config, values, "");
  return files.set(RUN_FILES.model, encodeSafetensors(tensors, { format: "pt" }));
}

/** Writes model.safetensors, in f32: beside first, then renamed. */
export async function writeModel(
  folder: string,
  config: ModelConfig,
  values: NamedValues,
): Promise<void> {
  await writeSafetensors(`${folder}/${RUN_FILES.model}`, tensorsOf(config, values, ""), {
    format: "pt",
  });
}

/** Writes the point, in one file: whatever kills the process, either the old or the new one is there. */
export async function writeResumePoint(
  folder: string,
  config: ModelConfig,
  point: ResumePoint,
): Promise<void> {
  const { step, position, bestLoss, sinceBest, values, m, v, carried } = point;
  const tensors = [
    ...tensorsOf(config, values, "value."),
    ...tensorsOf(config, m, "m."),
    ...tensorsOf(config, v, "v."),
    ...[...carried ?? []].map(([name, state]): TensorToWrite => ({
      ...{ name: STATE_PREFIX + name, dtype: "F32", shape: [state.length], bytes: bytesOf(state) },
    })),
  ];
  await writeSafetensors(`${folder}/${RUN_FILES.resume}`, tensors, {
    point: JSON.stringify({
      step,
      position,
      bestLoss: Number.isFinite(bestLoss) ? bestLoss : null,
      sinceBest,
    }),
  });
}

/**
 * Reads the point that a folder's run has come to.
 *
 * @throws {SafetensorsError} If the file is not one of these.
 */
export async function readResumePoint(folder: string, config: ModelConfig): Promise<ResumePoint> {
  const path = `${folder}/${RUN_FILES.resume}`;
  const file = await openFile(path);
  try {
    const read = (prefix: string) => readWeights(config, file, prefix);
    const carried = new Map<string, Float32Array>();
    for (const { name, dtype } of file.tensors.values()) {
      if (!name.startsWith(STATE_PREFIX)) continue;
      carried.set(name.slice(STATE_PREFIX.length), toFloat32(await file.read(name), dtype));
    }
    return {
      ...parsePoint(path, file.metadata.get("point")),
      ...{ values: await read("value."), m: await read("m."), v: await read("v."), carried },
    };
  } finally {
    file[Symbol.dispose]();
  }
}

/**
 * Reads the model that a folder's run has kept: that of its best evaluation.
 *
 * @throws {SafetensorsError} If the file is not one of these.
 */
export async function readModel(folder: string, config: ModelConfig): Promise<NamedValues> {
  const file = await openFile(`${folder}/${RUN_FILES.model}`);
  try {
    return await readWeights(config, file, "");
  } finally {
    file[Symbol.dispose]();
  }
}

/** The model's tensors of a file, whose names there begin with `prefix`. */
async function readWeights(
  config: ModelConfig,
  file: TensorFile,
  prefix: string,
): Promise<NamedValues> {
  const values = new Map<string, Float32Array>();
  for (const { name, shape } of weightSpecs(config)) {
    const info = file.tensors.get(prefix + name);
    if (info?.shape.join() !== shape.join()) {
      const found = info?.shape.join(", ") ?? "missing";
      throw new SafetensorsError(
        `Cannot resume from "${file.name}": "${prefix}${name}" is [${found}], ` +
          `and this run needs [${shape.join(", ")}]`,
      );
    }
    values.set(name, toFloat32(await file.read(prefix + name), info.dtype));
  }
  return values;
}

function parsePoint(
  path: string,
  text: string | undefined,
): Pick<ResumePoint, "step" | "position" | "bestLoss" | "sinceBest"> {
  try {
    const { step, position, bestLoss, sinceBest } = JSON.parse(text ?? "");
    const whole = [step, position.epoch, position.index, sinceBest].every((value) =>
      Number.isSafeInteger(value) && value >= 0
    );
    if (!whole) throw new TypeError("its numbers are not whole");
    return {
      step,
      position: { epoch: position.epoch, index: position.index },
      bestLoss: typeof bestLoss === "number" ? bestLoss : Infinity,
      sinceBest,
    };
  } catch (cause) {
    throw new SafetensorsError(`Cannot resume from "${path}": it does not say where its run was`, {
      cause,
    });
  }
}

async function openFile(path: string): Promise<TensorFile> {
  try {
    return await openSafetensors(fromBytes(path, await Deno.readFile(path)));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(`Cannot resume: there is no "${path}"`, { cause });
  }
}

function tensorsOf(config: ModelConfig, values: NamedValues, prefix: string): TensorToWrite[] {
  return weightSpecs(config).map(({ name, shape }) => {
    const floats = values.get(name);
    if (floats === undefined) {
      throw new RangeError(`Cannot save the model: "${name}" has no values`);
    }
    return { name: prefix + name, dtype: "F32", shape, bytes: bytesOf(floats) };
  });
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
