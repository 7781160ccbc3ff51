/** Weights from a checkpoint onto the GPU, one piece of one tensor at a time. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { elementCount } from "../model/shapes.ts";
import { type DType, fromFloat32, toFloat32 } from "../io/dtype.ts";
import type { TensorFile } from "../io/tensor_file.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { type LoadedWeights, modelWeights } from "../webgpu/weights.ts";
import { createMatrix, type Matrix, writeMatrixRows } from "../ops/matrix.ts";
import { isQuantized, matrixBytes } from "../model/dtype.ts";
import { quantizeRows } from "../model/quantize.ts";
import { requireRoom, withinMemory } from "../webgpu/device_memory.ts";
import {
  type Found,
  matchTensors,
  matrixDType,
  SCALES_SUFFIX,
  type StoredForm,
  type WeightDType,
} from "./match_tensors.ts";
import { concat, PIECE_BYTES, readPieces, release, sha256 } from "./tensor_pieces.ts";
import { checkTiedHead } from "./tied_head.ts";

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
export interface LoadWeightsOptions extends StoredForm {
  readonly dtype: WeightDType;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** Weights on the GPU and what identifies them. */
export interface LoadResult {
  readonly loaded: LoadedWeights;
  /** SHA-256 over names and stored bytes of all tensors: the same for the same weights in any container. */
  readonly hash: string;
}

/** Bytes that the weights will take on the GPU. */
export function gpuWeightBytes(found: readonly Found[], options: LoadWeightsOptions): number {
  return found.reduce((sum, each) => {
    // Scales are counted with their codes.
    if (each.part === "scales") return sum;
    if (each.spec.kind === "vector") return sum + elementCount(each.spec.shape) * 4;
    const [rows = 0, columns = 0] = each.spec.shape;
    return sum + matrixBytes([rows, columns], matrixDType(each, options.dtype, options.quantized));
  }, 0);
}

/**
 * Loads a model's weights: reads a piece, converts it, writes it to the GPU.
 *
 * All memory on the GPU is allocated before anything is read. Peak host memory is a few pieces of 16 MiB, whatever the
 * size of the checkpoint.
 *
 * @throws {TypeError} If the checkpoint does not hold the model that the config describes.
 * @throws {RangeError} If the model does not fit on the device, or a weight cannot be quantized.
 */
export async function loadWeights(
  gpu: Gpu,
  config: ModelConfig,
  file: TensorFile,
  options: LoadWeightsOptions,
): Promise<LoadResult> {
  const found = matchTensors(config, file, options);
  const sizeBytes = gpuWeightBytes(found, options);
  requireRoom(gpu, config, { name: file.name, weightBytes: sizeBytes });
  const targets = await allocate(gpu, found, options, file.name);
  const digests = new Map<string, Uint8Array>();
  try {
    await fill(gpu, file, { found, targets, digests }, options);
    await checkTiedHead(config, file, options.prefix, digests);
    gpu.check();
  } catch (error) {
    targets[Symbol.dispose]();
    throw error;
  }
  return {
    loaded: {
      weights: modelWeights(config, {
        matrix: (name) => required(targets.matrices, name),
        vector: (name) => required(targets.vectors, name),
      }),
      sizeBytes,
      [Symbol.dispose]: () => targets[Symbol.dispose](),
    },
    hash: await hashOf(digests),
  };
}

/** The weights on the GPU, by official name. */
interface Targets extends Disposable {
  readonly matrices: Map<string, Matrix>;
  readonly vectors: Map<string, Tensor>;
}

/** Allocates every tensor, or none. */
async function allocate(
  gpu: Gpu,
  found: readonly Found[],
  options: LoadWeightsOptions,
  name: string,
): Promise<Targets> {
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Tensor>();
  const targets: Targets = {
    matrices,
    vectors,
    [Symbol.dispose]() {
      for (const owned of [...matrices.values(), ...vectors.values()]) owned[Symbol.dispose]();
    },
  };
  const allocateOne = (each: Found): void => {
    const { spec, part } = each;
    if (part === "scales") return;
    if (spec.kind === "vector") {
      vectors.set(spec.name, createTensor(gpu, spec.name, spec.shape));
      return;
    }
    const [rows = 0, columns = 0] = spec.shape;
    const dtype = matrixDType(each, options.dtype, options.quantized);
    matrices.set(spec.name, createMatrix(gpu, spec.name, [rows, columns], { dtype }));
  };
  try {
    await withinMemory(gpu, () => found.forEach(allocateOne), {
      name,
      weightBytes: gpuWeightBytes(found, options),
    });
  } catch (error) {
    targets[Symbol.dispose]();
    throw error;
  }
  return targets;
}

/** Reads, converts and writes every tensor, and notes its digest by official name. */
async function fill(
  gpu: Gpu,
  file: TensorFile,
  { found, targets, digests }: {
    found: readonly Found[];
    targets: Targets;
    digests: Map<string, Uint8Array>;
  },
  { signal, onProgress }: LoadWeightsOptions,
): Promise<void> {
  const totalBytes = found.reduce((sum, { info }) => sum + info.sizeBytes, 0);
  let loadedBytes = 0;
  const flush = flusher(gpu);
  for (const each of found) {
    const { spec, info, part } = each;
    const pieceDigests: Uint8Array[] = [];
    for await (const { bytes, firstElement } of readPieces(file, info)) {
      signal?.throwIfAborted();
      const digest = sha256(bytes);
      writePiece(targets, each, bytes, firstElement);
      pieceDigests.push(await digest);
      const { length } = bytes;
      loadedBytes += length;
      release(bytes);
      onProgress?.({ stage: "load", loadedBytes, totalBytes, tensor: info.name });
      await flush(length);
    }
    digests.set(
      part === "scales" ? spec.name + SCALES_SUFFIX : spec.name,
      await sha256(concat(pieceDigests)),
    );
  }
}

/** SHA-256 over names and digests, in the order of names. */
async function hashOf(digests: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const encoder = new TextEncoder();
  const all = [...digests.keys()].sort()
    .flatMap((name) => [encoder.encode(name), digests.get(name) ?? new Uint8Array()]);
  return (await sha256(concat(all))).toHex();
}

function required<T>(tensors: Map<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`Cannot find the weight "${name}"`);
  return tensor;
}

/** Writes whole rows of a tensor, in the dtype that it has on the GPU. */
function writePiece(
  targets: Targets,
  { spec, info, part }: Found,
  bytes: Uint8Array<ArrayBuffer>,
  firstElement: number,
): void {
  if (spec.kind === "vector") {
    const values = toFloat32(bytes, info.dtype);
    required(targets.vectors, spec.name).write(values, firstElement * 4);
    return;
  }
  const matrix = required(targets.matrices, spec.name);
  const row = firstElement / (info.shape[1] ?? 1);
  if (part === "codes") writeMatrixRows(matrix, row, { codes: bytes });
  else if (part === "scales") writeMatrixRows(matrix, row, { scales: words16(bytes) });
  else {
    try {
      writeValues(matrix, row, bytes, info.dtype);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RangeError(`Cannot load "${info.name}", from row ${row} on: ${reason}`, {
        cause: error,
      });
    }
  }
}

function writeValues(
  matrix: Matrix,
  row: number,
  bytes: Uint8Array<ArrayBuffer>,
  stored: DType,
): void {
  const { dtype } = matrix;
  if ((dtype === "f16" && stored === "F16") || (dtype === "bf16" && stored === "BF16")) {
    writeMatrixRows(matrix, row, words16(bytes));
    return;
  }
  const values = toFloat32(bytes, stored);
  const kept = isQuantized(dtype)
    ? quantizeRows(values, matrix.columns, dtype)
    : dtype === "f32"
    ? values
    : words16(fromFloat32(values, dtype === "f16" ? "F16" : "BF16"));
  writeMatrixRows(matrix, row, kept);
  if (values.buffer !== bytes.buffer) release(values);
}

function words16(bytes: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}

/**
 * Waits now and then until the queue has copied what was written to it.
 *
 * It is the flush before that is waited for, so that the next piece is read meanwhile.
 */
function flusher(gpu: Gpu): (bytes: number) => Promise<void> {
  const { queue } = gpu.device;
  let unflushed = 0;
  let flushed: Promise<undefined> | undefined;
  return async (bytes) => {
    unflushed += bytes;
    if (unflushed < PIECE_BYTES) return;
    unflushed = 0;
    queue.submit([]);
    const copied = queue.onSubmittedWorkDone();
    await flushed;
    flushed = copied;
    gpu.check();
  };
}
