/** Weights from a checkpoint into an executor's sink, one piece of one tensor at a time. */

import { firstOverflow, fromFloat32, toFloat32 } from "../io/dtype.ts";
import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import { isQuantized } from "../model/weights/dtype.ts";
import type { WeightRows, WeightSink } from "../model/executor.ts";
import type { LoadPlan, PlannedTensor } from "../model/weights/load_plan.ts";
import { SCALES_SUFFIX } from "../model/weights/match_tensors.ts";
import { quantizeRows } from "../model/weights/quantize.ts";
import { elementCount } from "../model/shapes.ts";
import { toHex } from "../runtime/bytes.ts";
import { concat, readPieces, release, sha256 } from "./tensor_pieces.ts";
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
export interface LoadWeightsOptions {
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
  { signal, onProgress }: LoadWeightsOptions = {},
): Promise<string> {
  await sink.allocate(plan);
  const digests = new Map<string, Uint8Array>();
  const totalBytes = plan.storedBytes;
  let loadedBytes = 0;
  for (const tensor of plan.tensors) {
    const { stored, weight, part } = tensor;
    const pieceDigests: Uint8Array[] = [];
    for await (const { bytes, firstRow } of readPieces(file, stored, signal)) {
      signal?.throwIfAborted();
      const digest = sha256(bytes);
      const rows = rowsOf(tensor, bytes, firstRow);
      sink.writeRows(weight, firstRow, rows);
      if (rows instanceof Float32Array && rows.buffer !== bytes.buffer) release(rows);
      pieceDigests.push(await digest);
      loadedBytes += bytes.length;
      release(bytes);
      onProgress?.({ stage: "load", loadedBytes, totalBytes, tensor: stored.name });
      await sink.flush();
    }
    const { name } = weight.spec;
    digests.set(
      part === "scales" ? name + SCALES_SUFFIX : name,
      await sha256(concat(pieceDigests)),
    );
  }
  await checkTiedHead(plan, file, digests, signal);
  return await hashOf(digests);
}

/** SHA-256 over names and digests, in the order of names. */
async function hashOf(digests: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const encoder = new TextEncoder();
  const all = [...digests.keys()].sort()
    .flatMap((name) => [encoder.encode(name), digests.get(name) ?? new Uint8Array()]);
  return toHex(await sha256(concat(all)));
}

/** Stored rows as the weight keeps them; what goes wrong says where. */
function rowsOf(
  tensor: PlannedTensor<TensorInfo>,
  bytes: Uint8Array<ArrayBuffer>,
  firstRow: number,
): WeightRows {
  try {
    return transformed(tensor, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(
      `Cannot load "${tensor.stored.name}", from row ${firstRow} on: ${reason}`,
      { cause: error },
    );
  }
}

function transformed(
  { stored, weight: { spec, dtype }, part, transform }: PlannedTensor<TensorInfo>,
  bytes: Uint8Array<ArrayBuffer>,
): WeightRows {
  if (part === "codes") return { codes: bytes };
  if (part === "scales") return { scales: words16(bytes) };
  if (transform === "none" && dtype !== "f32") return words16(bytes);
  const values = toFloat32(bytes, stored.dtype);
  if (stored.dtype === "F64") requireFloat32(values, bytes);
  if (dtype === "f32") return values;
  const rows = isQuantized(dtype)
    ? quantizeRows(values, elementCount(spec.shape.slice(1)), dtype)
    : rounded(values, dtype === "f16" ? "F16" : "BF16");
  if (values.buffer !== bytes.buffer) release(values);
  return rows;
}

/** What a type cannot hold would be infinite, and a state NaN from then on. */
function rounded(values: Float32Array, dtype: "F16" | "BF16"): Uint16Array<ArrayBuffer> {
  const lost = firstOverflow(values, dtype);
  if (lost < 0) return words16(fromFloat32(values, dtype));
  const largest = dtype === "F16" ? "65504" : "3.39e38";
  throw new RangeError(
    `it holds ${values[lost]}, and ${largest} is the largest number of ${dtype}`,
  );
}

/** The same for numbers stored in f64. */
function requireFloat32(values: Float32Array, bytes: Uint8Array<ArrayBuffer>): void {
  const lost = values.findIndex((value) => Math.abs(value) === Infinity);
  if (lost < 0) return;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(lost * 8, true);
  if (!Number.isFinite(stored)) return;
  throw new RangeError(`it holds ${stored}, and 3.40e38 is the largest number of F32`);
}

function words16(bytes: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}
