import { type DType, dtypeSizeBytes } from "./dtype.ts";
import { quote } from "./quote.ts";

/** What a file says of one tensor. */
export interface TensorInfo {
  /** The full name, as in the file. */
  readonly name: string;
  /** The element type as stored. */
  readonly dtype: DType;
  /** Sizes, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Elements times element size. */
  readonly sizeBytes: number;
}

/** A file of named tensors, read one at a time, whatever its format. */
export interface TensorFile extends Disposable {
  /** What messages call it. */
  readonly name: string;
  /** All tensors, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What else the file says, as text. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Bytes [start, end) of the tensor as contiguous row-major little-endian; default all of it. They are the caller's
   * own, to keep and to change.
   *
   * @throws {RangeError} If there is no such tensor, or the range is not inside it.
   */
  read(name: string, start?: number, end?: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** No framework makes more dimensions than this (PyTorch allows 64, and none uses more than 8). */
export const MAX_RANK = 64;

/**
 * The size of a tensor, or undefined where it is beyond what a number counts exactly.
 *
 * @param dtype Element type.
 * @param shape Sizes, each a non-negative integer.
 * @returns Bytes, at most 2^53 - 1, or undefined.
 */
export function tensorSizeBytes(dtype: DType, shape: readonly number[]): number | undefined {
  // Zero first: [2^40, 2^40, 0] holds nothing, though its partial products overflow.
  if (shape.includes(0)) return 0;
  let size = dtypeSizeBytes(dtype);
  for (const dimension of shape) {
    size *= dimension;
    if (size > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return size;
}

/**
 * Resolves the arguments of {@linkcode TensorFile.read} against the file's list.
 *
 * @param file The file asked.
 * @param name The tensor asked for.
 * @param start First byte inside the tensor.
 * @param end The byte after the last; the tensor's size where undefined.
 * @returns The tensor and the checked range.
 * @throws {RangeError} If there is no such tensor, or the range is not inside it.
 */
export function resolveTensorRange(
  file: Pick<TensorFile, "name" | "tensors">,
  name: string,
  start: number,
  end: number | undefined,
): { info: TensorInfo; start: number; end: number } {
  const info = file.tensors.get(name);
  if (info === undefined) {
    throw new RangeError(
      `Cannot read tensor ${quote(name)} of ${quote(file.name)}: the file has no tensor of that ` +
        `name among its ${file.tensors.size}`,
    );
  }
  const last = end ?? info.sizeBytes;
  if (
    !Number.isSafeInteger(start) || !Number.isSafeInteger(last) || start < 0 || start > last ||
    last > info.sizeBytes
  ) {
    throw new RangeError(
      `Cannot read tensor ${quote(name)} of ${quote(file.name)}: bytes [${start}, ${last}) asked ` +
        `for, ${info.sizeBytes} bytes held`,
    );
  }
  return { info, start, end: last };
}
