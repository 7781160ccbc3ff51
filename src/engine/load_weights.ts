/** Weights from a checkpoint onto the GPU, one piece of one tensor at a time. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, elementCount, type Tensor } from "../gpu/tensor.ts";
import { type DType, fromFloat32, toFloat32 } from "../io/dtype.ts";
import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import type { ModelConfig } from "../model/config.ts";
import { EMBEDDING_NAMES, modelWeights, type WeightSpec, weightSpecs } from "../model/weights.ts";
import {
  createMatrix,
  type Matrix,
  matrixBytes,
  type MatrixDType,
  writeMatrixRows,
} from "../ops/matrix.ts";
import type { LoadedWeights } from "./webgpu_executor.ts";

/** How matrices are kept: "auto" as stored (what is neither f16 nor bf16 becomes f32). */
export type WeightDType = "auto" | MatrixDType;

/** How far loading has come. */
export interface LoadProgress {
  /** What is being done, where loading has other stages. */
  readonly stage: "load";
  /** Bytes of the checkpoint's tensors read so far. */
  readonly loadedBytes: number;
  /** Bytes of all of them. */
  readonly totalBytes: number;
  /** The tensor being read. */
  readonly tensor: string;
}

/** Settings of {@linkcode loadWeights}. */
export interface LoadWeightsOptions {
  readonly dtype: WeightDType;
  /** Names in the file start with this. */
  readonly prefix: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** Weights on the GPU and what identifies them. */
export interface LoadResult {
  readonly loaded: LoadedWeights;
  /** SHA-256 over names and stored bytes of all tensors: the same for the same weights in any container. */
  readonly hash: string;
}

/** The most bytes of a tensor that are in host memory at once. */
const PIECE_BYTES = 16 * 2 ** 20;

/** The queue keeps written bytes until it has copied them; past this many it is waited for. */
const UNFLUSHED_BYTES = 64 * 2 ** 20;

/** A tensor that the model needs, found in the file. */
interface Found {
  readonly spec: WeightSpec;
  readonly info: TensorInfo;
}

/**
 * Finds the model's tensors in a file, by any of their names, and checks their shapes.
 *
 * @returns The tensors in the order of the file, so that a source that only streams forward can serve them.
 * @throws {TypeError} If one is missing, has another shape, or the file holds one that is not part of the model.
 */
export function matchTensors(config: ModelConfig, file: TensorFile, prefix: string): Found[] {
  const wanted = new Map<string, WeightSpec>();
  const specs = weightSpecs(config);
  for (const spec of specs) {
    for (const name of [spec.name, ...spec.aliases ?? []]) wanted.set(prefix + name, spec);
  }
  const found: Found[] = [];
  const seen = new Map<WeightSpec, string>();
  for (const info of file.tensors.values()) {
    if (!info.name.startsWith(prefix)) continue;
    const spec = wanted.get(info.name);
    if (spec === undefined) {
      if (isTiedHead(config, info.name.slice(prefix.length))) continue;
      throw new TypeError(
        `Cannot load "${info.name}" of "${file.name}": the model that config.json describes has no such tensor`,
      );
    }
    const other = seen.get(spec);
    if (other !== undefined) {
      throw new TypeError(
        `Cannot load "${file.name}": "${other}" and "${info.name}" are the same tensor`,
      );
    }
    seen.set(spec, info.name);
    checkShape(config, spec, info);
    found.push({ spec, info });
  }
  const missing = specs.find((spec) => !seen.has(spec));
  if (missing !== undefined) {
    throw new TypeError(
      `Cannot load "${file.name}": it has no tensor "${prefix}${missing.name}", ` +
        `which config.json asks for with shape [${missing.shape.join(", ")}]`,
    );
  }
  return found;
}

/** Rows of the embedding in a file, by any of its names; undefined if there is none. */
export function embeddingRows(file: TensorFile, prefix: string): number | undefined {
  const name = EMBEDDING_NAMES.find((name) => file.tensors.has(prefix + name));
  return name === undefined ? undefined : file.tensors.get(prefix + name)?.shape[0];
}

function isTiedHead(config: ModelConfig, name: string): boolean {
  return name === "lm_head.weight" && config.head.kind === "lm" && config.head.tied;
}

function checkShape(config: ModelConfig, spec: WeightSpec, info: TensorInfo): void {
  if (info.shape.join() === spec.shape.join()) return;
  const { d_model, d_inner, d_state, d_conv, dt_rank } = config;
  throw new TypeError(
    `Cannot load "${info.name}": shape is [${info.shape.join(", ")}], and d_model = ${d_model}, ` +
      `d_inner = ${d_inner}, d_state = ${d_state}, d_conv = ${d_conv}, dt_rank = ${dt_rank} ` +
      `need [${spec.shape.join(", ")}]`,
  );
}

/** The dtype that a matrix gets on the GPU. */
export function matrixDType(stored: DType, wanted: WeightDType): MatrixDType {
  if (wanted !== "auto") return wanted;
  return stored === "F16" ? "f16" : stored === "BF16" ? "bf16" : "f32";
}

/** Bytes that the weights will take on the GPU. */
export function gpuWeightBytes(found: readonly Found[], dtype: WeightDType): number {
  return found.reduce((sum, { spec, info }) => {
    if (spec.kind === "vector") return sum + elementCount(spec.shape) * 4;
    const [rows = 0, columns = 0] = spec.shape;
    return sum + matrixBytes([rows, columns], matrixDType(info.dtype, dtype));
  }, 0);
}

/**
 * Loads a model's weights: reads a piece, converts it, writes it to the GPU.
 *
 * Peak host memory is a few pieces of 16 MiB, whatever the size of the checkpoint.
 *
 * @throws {TypeError} If the checkpoint does not hold the model that the config describes.
 * @throws {RangeError} If a tensor does not fit on the device.
 */
export async function loadWeights(
  gpu: Gpu,
  config: ModelConfig,
  file: TensorFile,
  options: LoadWeightsOptions,
): Promise<LoadResult> {
  const found = matchTensors(config, file, options.prefix);
  const totalBytes = found.reduce((sum, { info }) => sum + info.sizeBytes, 0);
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Tensor>();
  const free = (): void => {
    for (const owned of [...matrices.values(), ...vectors.values()]) owned[Symbol.dispose]();
  };
  let loadedBytes = 0;
  const digests = new Map<string, Uint8Array>();
  try {
    const flush = flusher(gpu);
    for (const { spec, info } of found) {
      const write = target(gpu, { spec, info }, options.dtype, { matrices, vectors });
      const pieceDigests: Uint8Array[] = [];
      for await (const { bytes, firstElement } of pieces(file, info)) {
        options.signal?.throwIfAborted();
        write(bytes, firstElement);
        pieceDigests.push(await sha256(bytes));
        loadedBytes += bytes.length;
        options.onProgress?.({ stage: "load", loadedBytes, totalBytes, tensor: info.name });
        await flush(bytes.length);
      }
      digests.set(spec.name, await sha256(concat(pieceDigests)));
    }
    await checkTiedHead(config, file, options.prefix, digests);
    gpu.check();
  } catch (error) {
    free();
    throw error;
  }
  const lookup = {
    matrix: (name: string) => required(matrices, name),
    vector: (name: string) => required(vectors, name),
  };
  const names = [...digests.keys()].sort();
  const encoder = new TextEncoder();
  const all = names.flatMap((
    name,
  ) => [encoder.encode(name), digests.get(name) ?? new Uint8Array()]);
  return {
    loaded: {
      weights: modelWeights(config, lookup),
      sizeBytes: gpuWeightBytes(found, options.dtype),
      [Symbol.dispose]: free,
    },
    hash: (await sha256(concat(all))).toHex(),
  };
}

function required<T>(tensors: Map<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`Cannot find the weight "${name}"`);
  return tensor;
}

/** Whole rows of a tensor at a time, as many as fit in a piece. */
async function* pieces(
  file: TensorFile,
  info: TensorInfo,
): AsyncGenerator<{ bytes: Uint8Array<ArrayBuffer>; firstElement: number }> {
  const elements = elementCount(info.shape);
  const elementBytes = info.sizeBytes / elements;
  const rowElements = elementCount(info.shape.slice(1));
  const step = Math.max(1, Math.floor(PIECE_BYTES / (rowElements * elementBytes))) * rowElements;
  for (let first = 0; first < elements; first += step) {
    const end = Math.min(elements, first + step);
    const bytes = await file.read(info.name, first * elementBytes, end * elementBytes);
    yield { bytes, firstElement: first };
  }
}

/** Allocates a tensor on the GPU and returns what writes pieces of it, in the dtype that it has there. */
function target(
  gpu: Gpu,
  { spec, info }: Found,
  dtype: WeightDType,
  { matrices, vectors }: { matrices: Map<string, Matrix>; vectors: Map<string, Tensor> },
): (bytes: Uint8Array<ArrayBuffer>, firstElement: number) => void {
  if (spec.kind === "vector") {
    const tensor = createTensor(gpu, spec.name, spec.shape);
    vectors.set(spec.name, tensor);
    return (bytes, firstElement) => tensor.write(toFloat32(bytes, info.dtype), firstElement * 4);
  }
  const [rows = 0, columns = 0] = spec.shape;
  const kept = matrixDType(info.dtype, dtype);
  const matrix = createMatrix(gpu, spec.name, [rows, columns], { dtype: kept });
  matrices.set(spec.name, matrix);
  return (bytes, firstElement) => {
    writeMatrixRows(matrix, firstElement / columns, convert(bytes, info.dtype, kept));
  };
}

function convert(
  bytes: Uint8Array<ArrayBuffer>,
  stored: DType,
  kept: MatrixDType,
): Float32Array | Uint16Array {
  if (kept === "f32") return toFloat32(bytes, stored);
  const name = kept === "f16" ? "F16" : "BF16";
  const same = stored === name ? bytes : fromFloat32(toFloat32(bytes, stored), name);
  const aligned = same.byteOffset % 2 === 0 ? same : same.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}

/** Waits now and then until the queue has copied what was written to it. */
function flusher(gpu: Gpu): (bytes: number) => Promise<void> {
  let unflushed = 0;
  return async (bytes) => {
    unflushed += bytes;
    if (unflushed < UNFLUSHED_BYTES) return;
    unflushed = 0;
    gpu.device.queue.submit([]);
    await gpu.device.queue.onSubmittedWorkDone();
    gpu.check();
  };
}

/** Whether the file has a head of its own, with other numbers than the embedding's. */
export async function hasOwnHead(file: TensorFile, prefix: string): Promise<boolean> {
  const head = file.tensors.get(`${prefix}lm_head.weight`);
  const names = ["backbone.embeddings.weight", "backbone.embedding.weight"];
  const embedding = names.map((name) => file.tensors.get(prefix + name)).find((info) => info);
  if (head === undefined || embedding === undefined) return false;
  return await digestOf(file, head) !== await digestOf(file, embedding);
}

/** SHA-256 of a tensor, piece by piece: one pass over it, for sources that only stream forward. */
async function digestOf(file: TensorFile, info: TensorInfo): Promise<string> {
  const digests: Uint8Array[] = [];
  for await (const { bytes } of pieces(file, info)) digests.push(await sha256(bytes));
  return (await sha256(concat(digests))).toHex();
}

/** A head that config.json calls tied must be the embedding, where the file has one of its own. */
async function checkTiedHead(
  config: ModelConfig,
  file: TensorFile,
  prefix: string,
  digests: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const info = file.tensors.get(`${prefix}lm_head.weight`);
  if (info === undefined || !isTiedHead(config, "lm_head.weight")) return;
  if (await digestOf(file, info) !== digests.get("backbone.embeddings.weight")?.toHex()) {
    throw new TypeError(
      `Cannot load "${file.name}": config.json ties the head to the embedding, and "${info.name}" differs from it. ` +
        `Set tie_word_embeddings (tie_embeddings in the raw form) to false to use it`,
    );
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
