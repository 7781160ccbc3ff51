/** Weight matrices on the GPU: packed rows of floats or of quantized weights, split where one binding cannot hold them. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { roundUp } from "../model/shapes.ts";
import {
  isQuantized,
  MATRIX_ROW_STEP,
  type MatrixDType,
  matrixRowBytes,
  matrixRowParts,
} from "../model/weights/dtype.ts";
import { QUANT_GROUP, type QuantizedRows } from "../model/weights/quantize.ts";

const MATRIX_DTYPES: readonly MatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];

/** The kernels' W_DTYPE. */
export const W_DTYPE: Readonly<Record<MatrixDType, number>> = {
  f32: 0,
  f16: 1,
  bf16: 2,
  int8: 3,
  int4: 4,
};

/** Words of a block of rows, `stride` elements apart, as the kernels' ROWS, W_STRIDE and W_DTYPE say. */
export function blockWords(rows: number, stride: number, W_dtype: number): number {
  const dtype = MATRIX_DTYPES.find((dtype) => W_DTYPE[dtype] === W_dtype);
  return dtype === undefined ? NaN : rows * matrixRowBytes(stride, dtype) / 4;
}

/** Some consecutive rows of a matrix, in one buffer; the scales of quantized rows follow all of them. */
export interface MatrixBlock {
  readonly tensor: Tensor;
  readonly rowStart: number;
  readonly rows: number;
}

/** A weight of shape (rows, columns), as in the checkpoint: out, in. */
export interface Matrix extends Disposable {
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row. */
  readonly stride: number;
  readonly dtype: MatrixDType;
  readonly blocks: readonly MatrixBlock[];
}

/**
 * Allocates a matrix of zeros, in as many row blocks as the device's binding limit asks for.
 *
 * @param options `make` allocates a block; default: {@linkcode createTensor}.
 * @throws {RangeError} If not even one row fits in a binding.
 */
export function createMatrix(
  gpu: Gpu,
  label: string,
  shape: readonly [number, number],
  options: {
    readonly dtype: MatrixDType;
    readonly maxBindingBytes?: number;
    readonly make?: (label: string, shape: readonly number[]) => Tensor;
  },
): Matrix {
  const { dtype, make = (label, shape) => createTensor(gpu, label, shape) } = options;
  const [rows, columns] = shape;
  const rowBytes = matrixRowBytes(columns, dtype);
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const limit = options.maxBindingBytes ?? Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const rowsPerBlock = Math.floor(limit / rowBytes);
  if (rowsPerBlock === 0) {
    throw new RangeError(
      `Cannot load ${label} [${rows}, ${columns}]: one row takes ${rowBytes} bytes, ` +
        `and this device binds ${limit}`,
    );
  }
  const blocks: MatrixBlock[] = [];
  for (let rowStart = 0; rowStart < rows; rowStart += rowsPerBlock) {
    const blockRows = Math.min(rowsPerBlock, rows - rowStart);
    blocks.push({
      tensor: make(label, [blockRows * rowBytes / 4]),
      rowStart,
      rows: blockRows,
    });
  }
  return {
    rows,
    columns,
    stride: roundUp(columns, isQuantized(dtype) ? QUANT_GROUP : MATRIX_ROW_STEP),
    dtype,
    blocks,
    [Symbol.dispose](): void {
      for (const { tensor } of blocks) tensor[Symbol.dispose]();
    },
  };
}

/**
 * Writes rows from `rowStart` on.
 *
 * @param elements The rows, back to back with no padding, in the matrix's dtype (`Uint16Array` bits for f16 and bf16),
 * or, as quantizeRows() makes them, their codes, their scales or both.
 */
export function writeMatrixRows(
  matrix: Matrix,
  rowStart: number,
  elements: Float32Array | Uint16Array | Partial<QuantizedRows>,
): void {
  const { columns, stride, dtype } = matrix;
  if (isQuantized(dtype)) {
    if (!isPlain(elements)) {
      writeQuantized(matrix, rowStart, elements);
      return;
    }
    throw new TypeError(`Cannot write rows of ${columns} ${dtype} elements from floats`);
  }
  const Elements = dtype === "f32" ? Float32Array : Uint16Array;
  if (!(elements instanceof Elements) || elements.length % columns !== 0) {
    throw new TypeError(
      `Cannot write rows of ${columns} ${dtype} elements from ${
        isPlain(elements) ? elements.length : "quantized"
      } others`,
    );
  }
  writeBytes(matrix, rowStart, bytesOf(padRows(elements, columns, stride)), "elements");
}

function isPlain<Plain extends Float32Array | Uint16Array>(
  elements: Plain | Partial<QuantizedRows>,
): elements is Plain {
  return ArrayBuffer.isView(elements);
}

function writeQuantized(
  matrix: Matrix,
  rowStart: number,
  { codes, scales }: Partial<QuantizedRows>,
): void {
  const row = matrixRowParts(matrix.columns, matrix.dtype);
  const groups = matrix.stride / QUANT_GROUP;
  if ((codes?.length ?? 0) % row.elements !== 0 || (scales?.length ?? 0) % groups !== 0) {
    throw new TypeError(
      `Cannot write rows of ${matrix.columns} ${matrix.dtype} elements from ${codes?.length} codes ` +
        `and ${scales?.length} scales`,
    );
  }
  if (codes !== undefined) writeBytes(matrix, rowStart, codes, "elements");
  if (scales !== undefined) {
    writeBytes(matrix, rowStart, bytesOf(padRows(scales, groups, row.scales / 2)), "scales");
  }
}

function padRows<Elements extends Float32Array | Uint16Array>(
  elements: Elements,
  width: number,
  stride: number,
): Float32Array | Uint16Array {
  if (stride === width) return elements;
  const rows = elements.length / width;
  const padded = elements instanceof Float32Array
    ? new Float32Array(rows * stride)
    : new Uint16Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    padded.set(elements.subarray(row * width, (row + 1) * width), row * stride);
  }
  return padded;
}

function bytesOf(array: Float32Array | Uint16Array | Uint8Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Writes one part of whole rows to the blocks that hold them. */
function writeBytes(
  matrix: Matrix,
  rowStart: number,
  bytes: Uint8Array,
  part: "elements" | "scales",
): void {
  const parts = matrixRowParts(matrix.columns, matrix.dtype);
  const rowEnd = rowStart + bytes.length / parts[part];
  for (const block of matrix.blocks) {
    const first = Math.max(rowStart, block.rowStart);
    const end = Math.min(rowEnd, block.rowStart + block.rows);
    if (first >= end) continue;
    const start = part === "scales" ? block.rows * parts.elements : 0;
    block.tensor.write(
      bytes.subarray((first - rowStart) * parts[part], (end - rowStart) * parts[part]),
      start + (first - block.rowStart) * parts[part],
    );
  }
}
