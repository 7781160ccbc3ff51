/** Tensors read piece by piece, and what identifies their bytes. */

import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import { toHex } from "../runtime/bytes.ts";

/** The most bytes of a tensor that are read at once. */
export const PIECE_BYTES = 16 * 2 ** 20;

/** Whole rows of a tensor at a time, as many as fit in a piece, until the signal ends it. */
export async function* readPieces(
  file: TensorFile,
  info: TensorInfo,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ bytes: Uint8Array<ArrayBuffer>; firstRow: number }> {
  const rows = info.shape[0] ?? 1;
  const rowBytes = info.sizeBytes / rows;
  const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  for (let firstRow = 0; firstRow < rows; firstRow += step) {
    signal?.throwIfAborted();
    const end = Math.min(rows, firstRow + step);
    const bytes = await file.read(info.name, firstRow * rowBytes, end * rowBytes);
    yield { bytes, firstRow };
  }
}

/** Gives an array's memory back at once. Garbage is collected late, and pieces come fast: hundreds of MB would pile up. */
export function release({ buffer }: Uint8Array | Float32Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** What f32 cannot hold of numbers stored in f64 would be infinite. */
export function requireFloat32(values: Float32Array, bytes: Uint8Array<ArrayBuffer>): void {
  const lost = values.findIndex((value) => Math.abs(value) === Infinity);
  if (lost < 0) return;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(lost * 8, true);
  if (!Number.isFinite(stored)) return;
  throw new RangeError(`it holds ${stored}, and 3.40e38 is the largest number of F32`);
}

/** SHA-256 of a tensor, piece by piece: one pass over it, for sources that only stream forward. */
export async function digestOf(
  file: TensorFile,
  info: TensorInfo,
  signal: AbortSignal | undefined,
): Promise<string> {
  const digests: Uint8Array[] = [];
  for await (const { bytes } of readPieces(file, info, signal)) {
    digests.push(await sha256(bytes));
    release(bytes);
  }
  return toHex(await sha256(concat(digests)));
}

/** SHA-256 of bytes. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Arrays one behind the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
