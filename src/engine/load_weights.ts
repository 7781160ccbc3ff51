/** Weights from a checkpoint into an executor's sink, one piece of one tensor at a time. */

import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import type { WeightSink } from "../model/executor.ts";
import type { LoadPlan } from "../model/weights/load_plan.ts";
import { SCALES_SUFFIX } from "../model/weights/match_tensors.ts";
import { toHex } from "../runtime/bytes.ts";
import { Quantizing } from "./quantizing.ts";
import { concat, readPieces, release, sha256 } from "./tensor_pieces.ts";
import { checkTiedHead } from "./tied_head.ts";
import { partsOf } from "./weight_rows.ts";

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
  /** Threads that quantize, this one not among them; default as many as there are processors, up to 8. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Loads a model's weights: reads a piece, converts it, hands it to the sink.
 *
 * All memory is allocated before anything is read. Peak host memory is a few pieces of 16 MiB beside what the sink
 * takes, whatever the size of the checkpoint. Who made the sink disposes it where this fails.
 *
 * @returns SHA-256 over names and stored bytes of all tensors: the same for the same weights in any container.
 * @throws {TypeError} If a head that the config ties to the embedding differs from it.
 * @throws {RangeError} If the model does not fit on the device, or a weight cannot be quantized.
 */
export async function loadWeights(
  sink: WeightSink,
  plan: LoadPlan<TensorInfo>,
  file: TensorFile,
  { signal, onProgress, threads }: LoadWeightsOptions = {},
): Promise<string> {
  await sink.allocate(plan);
  const quantizing = new Quantizing(paysQuantizing(plan) ? threads ?? defaultThreads() : 1);
  const totalBytes = plan.storedBytes;
  let loadedBytes = 0;
  // One piece is read while workers have the one before.
  let before = Promise.resolve();
  try {
    const pieces = new Map<string, Promise<Uint8Array>[]>();
    for (const tensor of plan.tensors) {
      const { stored, weight, part } = tensor;
      const pieceDigests: Promise<Uint8Array>[] = [];
      pieces.set(weight.spec.name + (part === "scales" ? SCALES_SUFFIX : ""), pieceDigests);
      const take = async (bytes: Uint8Array<ArrayBuffer>, firstRow: number): Promise<void> => {
        const digest = sha256(bytes);
        pieceDigests.push(digest);
        const parts = await partsOf(quantizing, tensor, bytes, firstRow);
        for (const { firstRow: first, rows } of parts) {
          sink.writeRows(weight, firstRow + first, rows);
          if (rows instanceof Float32Array && rows.buffer !== bytes.buffer) release(rows);
        }
        await digest;
        loadedBytes += bytes.length;
        release(bytes);
        onProgress?.({ stage: "load", loadedBytes, totalBytes, tensor: stored.name });
        await sink.flush();
      };
      for await (const { bytes, firstRow } of readPieces(file, stored, signal)) {
        await before;
        signal?.throwIfAborted();
        before = take(bytes, firstRow);
        // Whoever waits for it next is told, and reading may fail before.
        before.catch(() => {});
      }
    }
    await before;
    const digests = new Map<string, Uint8Array>();
    for (const [name, parts] of pieces) {
      digests.set(name, await sha256(concat(await Promise.all(parts))));
    }
    await checkTiedHead(plan, file, digests, signal);
    return await hashOf(digests);
  } finally {
    // The sink is disposed after this: nothing is written to it any more.
    await before.catch(() => {});
    quantizing[Symbol.dispose]();
  }
}

/** Workers take some hundredths of a second to start. */
const MIN_QUANTIZED_BYTES = 2 ** 26;

function paysQuantizing({ tensors }: LoadPlan<TensorInfo>): boolean {
  const bytes = tensors.filter(({ transform }) => transform === "quantize")
    .reduce((sum, { stored }) => sum + stored.sizeBytes, 0);
  return bytes >= MIN_QUANTIZED_BYTES;
}

/** More would wait for this one, which reads and copies for about a fourth of the time that one thread quantizes. */
const MOST_THREADS = 8;

function defaultThreads(): number {
  return Math.min(MOST_THREADS, globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** SHA-256 over names and digests, in the order of names. */
async function hashOf(digests: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const encoder = new TextEncoder();
  const all = [...digests.keys()].sort()
    .flatMap((name) => [encoder.encode(name), digests.get(name) ?? new Uint8Array()]);
  return toHex(await sha256(concat(all)));
}
