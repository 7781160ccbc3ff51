/** Weight matrices in the module's memory: panels of 4 interleaved rows, see kernels/cpu/assembly/matrix.ts. */

import { WeightDType } from "../../../kernels/cpu/weight_dtype.ts";
import { roundUp } from "../../model/shapes.ts";
import type { Cpu } from "./module.ts";
import type { CpuTensor } from "./tensor.ts";

/** How the elements of a matrix are stored. Sums are f32 always. */
export type CpuMatrixDType = "f32" | "f16" | "bf16" | "int8" | "int4";

/** Whole rows of a quantized weight, as quantizeRows() makes them. */
export interface QuantizedRows {
  readonly codes: Uint8Array;
  /** The bits of f16. */
  readonly scales: Uint16Array;
}

/** A weight of shape (rows, columns), as in the checkpoint: out, in. */
export interface CpuMatrix extends Disposable {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: CpuMatrixDType;
  /** Elements from row to row, where rows lie one after the other: see {@linkcode rowMatrix}. */
  readonly stride?: number;
  /** First byte in the module's memory. */
  readonly address: number;
  readonly sizeBytes: number;
  readonly cpu: Cpu;
}

/** A weight that is trained, or its gradient: f32, rows one after the other. */
export interface CpuRowMatrix extends CpuMatrix {
  readonly dtype: "f32";
  readonly stride: number;
}

/** Rows of a panel. */
export const PANEL_ROWS = 4;

/** Columns of a row of int8 or int4 weights that share a scale. */
const QUANT_GROUP = 32;

/** Bytes that rows pass through on their way into panels, where a row is not longer. */
const STAGING_BYTES = 2 ** 18;

/** Columns and bytes of a block of a panel. */
const BLOCKS: Readonly<
  Record<CpuMatrixDType, { readonly columns: number; readonly bytes: number }>
> = {
  f32: { columns: 8, bytes: 128 },
  f16: { columns: 8, bytes: 64 },
  bf16: { columns: 8, bytes: 64 },
  int8: { columns: 32, bytes: 144 },
  int4: { columns: 32, bytes: 80 },
};

/** Whether weights of this type have scales. */
export function isQuantized(dtype: CpuMatrixDType): dtype is "int8" | "int4" {
  return dtype === "int8" || dtype === "int4";
}

/** Bytes of a panel. */
export function cpuPanelBytes(columns: number, dtype: CpuMatrixDType): number {
  return Math.ceil(columns / BLOCKS[dtype].columns) * BLOCKS[dtype].bytes;
}

/** Bytes of a matrix, without allocating it. */
export function cpuMatrixBytes(
  [rows, columns]: readonly [number, number],
  dtype: CpuMatrixDType,
): number {
  return Math.ceil(rows / PANEL_ROWS) * cpuPanelBytes(columns, dtype);
}

/**
 * Allocates a matrix of zeros.
 *
 * @throws {RangeError} If the memory cannot hold it.
 */
export function createCpuMatrix(
  cpu: Cpu,
  label: string,
  shape: readonly [number, number],
  { dtype }: { readonly dtype: CpuMatrixDType },
): CpuMatrix {
  const [rows, columns] = shape;
  const sizeBytes = cpuMatrixBytes(shape, dtype);
  const address = cpu.memory.allocate(`${label} [${rows}, ${columns}]`, sizeBytes);
  return {
    rows,
    columns,
    dtype,
    address,
    sizeBytes,
    cpu,
    [Symbol.dispose](): void {
      cpu.memory.free(address);
    },
  };
}

/**
 * An f32 matrix over a tensor that others own, with rows of `stride` elements one after the other.
 *
 * @throws {RangeError} If the tensor is too small.
 */
export function rowMatrix(
  cpu: Cpu,
  tensor: CpuTensor,
  [rows, columns]: readonly [number, number],
  stride: number = columns,
): CpuRowMatrix {
  if (stride < columns || tensor.size < (rows - 1) * stride + columns) {
    throw new RangeError(
      `Cannot make a matrix [${rows}, ${columns}] of rows of ${stride} over ${tensor.size} elements`,
    );
  }
  const { address } = tensor;
  const sizeBytes = rows * stride * 4;
  return { rows, columns, dtype: "f32", stride, address, sizeBytes, cpu, [Symbol.dispose]() {} };
}

/** Whether rows lie one after the other. */
export function isRowMatrix(matrix: CpuMatrix): matrix is CpuRowMatrix {
  return matrix.stride !== undefined;
}

/**
 * Requires panels.
 *
 * @throws {TypeError} If rows lie one after the other.
 */
export function requirePanels(label: string, matrix: CpuMatrix): void {
  if (!isRowMatrix(matrix)) return;
  throw new TypeError(
    `Cannot record ${label}: the rows of its weight lie one after the other, and it needs panels`,
  );
}

/**
 * Writes rows from `rowStart` on.
 *
 * @param elements The rows, back to back with no padding, in the matrix's dtype (`Uint16Array` bits for f16 and bf16),
 * or, as quantizeRows() makes them, their codes, their scales or both.
 */
export function writeMatrixRows(
  matrix: CpuMatrix,
  rowStart: number,
  elements: Float32Array | Uint16Array | Partial<QuantizedRows>,
): void {
  const { columns, dtype } = matrix;
  requirePanels("the writing of rows", matrix);
  if (isQuantized(dtype)) {
    if (isPlain(elements)) {
      throw new TypeError(`Cannot write rows of ${columns} ${dtype} elements from floats`);
    }
    const { codes, scales } = elements;
    const groups = Math.ceil(columns / QUANT_GROUP);
    const codeBytes = groups * (dtype === "int8" ? QUANT_GROUP : QUANT_GROUP / 2);
    if ((codes?.length ?? 0) % codeBytes !== 0 || (scales?.length ?? 0) % groups !== 0) {
      throw new TypeError(
        `Cannot write rows of ${columns} ${dtype} elements from ${codes?.length} codes ` +
          `and ${scales?.length} scales`,
      );
    }
    if (codes !== undefined) pack(matrix, rowStart, codes, codeBytes, "packRows");
    if (scales !== undefined) pack(matrix, rowStart, scales, groups * 2, "packScales");
    return;
  }
  const Elements = dtype === "f32" ? Float32Array : Uint16Array;
  if (!(elements instanceof Elements) || elements.length % columns !== 0) {
    throw new TypeError(
      `Cannot write rows of ${columns} ${dtype} elements from ${
        isPlain(elements) ? elements.length : "quantized"
      } others`,
    );
  }
  pack(matrix, rowStart, elements, columns * elements.BYTES_PER_ELEMENT, "packRows");
}

function isPlain<Plain extends Float32Array | Uint16Array>(
  elements: Plain | Partial<QuantizedRows>,
): elements is Plain {
  return ArrayBuffer.isView(elements);
}

/** Copies rows into the module's memory, a few at a time, and packs them there. */
function pack(
  { cpu, address, rows, columns, dtype }: CpuMatrix,
  rowStart: number,
  elements: Float32Array | Uint16Array | Uint8Array,
  rowBytes: number,
  how: "packRows" | "packScales",
): void {
  const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  const rowEnd = rowStart + bytes.length / rowBytes;
  if (rowStart < 0 || rowEnd > rows) {
    throw new RangeError(`Cannot write rows ${rowStart} to ${rowEnd} of a matrix of ${rows}`);
  }
  const rowsAtOnce = Math.max(1, Math.floor(STAGING_BYTES / rowBytes));
  const staging = cpu.reserveScratch(roundUp(rowsAtOnce * rowBytes, 16));
  for (let row = rowStart; row < rowEnd; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rowEnd - row);
    const start = (row - rowStart) * rowBytes;
    cpu.memory.bytes(staging, count * rowBytes)
      .set(bytes.subarray(start, start + count * rowBytes));
    cpu.pack[how](staging, address, WeightDType[dtype], row, count, columns);
  }
}
