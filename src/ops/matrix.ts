/** Weight matrices on the GPU: packed rows of f32, f16 or bf16, split where one binding cannot hold them. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, roundUp, type Tensor } from "../gpu/tensor.ts";

/** How the elements of a matrix are stored. Arithmetic is f32 always. */
export type MatrixDType = "f32" | "f16" | "bf16";

/** The kernels' W_DTYPE. */
export const W_DTYPE: Readonly<Record<MatrixDType, number>> = { f32: 0, f16: 1, bf16: 2 };

/** Rows are padded with zeros to a multiple of this, so that kernels load 8 elements at a time. */
export const MATRIX_ROW_STEP = 8;

/** Some consecutive rows of a matrix, in one buffer. */
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

/** Bytes of one element. */
export function matrixElementBytes(dtype: MatrixDType): number {
  return dtype === "f32" ? 4 : 2;
}

/** GPU bytes of a matrix, without allocating it. */
export function matrixBytes(shape: readonly [number, number], dtype: MatrixDType): number {
  return shape[0] * roundUp(shape[1], MATRIX_ROW_STEP) * matrixElementBytes(dtype);
}

/**
 * Allocates a matrix of zeros, in as many row blocks as the device's binding limit asks for.
 *
 * @throws {RangeError} If not even one row fits in a binding.
 */
export function createMatrix(
  gpu: Gpu,
  label: string,
  shape: readonly [number, number],
  options: { readonly dtype: MatrixDType; readonly maxBindingBytes?: number },
): Matrix {
  const { dtype } = options;
  const [rows, columns] = shape;
  const stride = roundUp(columns, MATRIX_ROW_STEP);
  const rowBytes = stride * matrixElementBytes(dtype);
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
      tensor: createTensor(gpu, label, [blockRows * rowBytes / 4]),
      rowStart,
      rows: blockRows,
    });
  }
  return {
    rows,
    columns,
    stride,
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
 * @param elements The rows, back to back with no padding, in the matrix's dtype (`Uint16Array` bits for f16 and bf16).
 */
export function writeMatrixRows(
  matrix: Matrix,
  rowStart: number,
  elements: Float32Array | Uint16Array,
): void {
  const { columns, stride } = matrix;
  const Elements = matrix.dtype === "f32" ? Float32Array : Uint16Array;
  if (!(elements instanceof Elements) || elements.length % columns !== 0) {
    throw new TypeError(
      `Cannot write rows of ${columns} ${matrix.dtype} elements from ${elements.length} others`,
    );
  }
  const rowCount = elements.length / columns;
  let padded: Float32Array | Uint16Array = elements;
  if (stride !== columns) {
    padded = new Elements(rowCount * stride);
    for (let row = 0; row < rowCount; row++) {
      padded.set(elements.subarray(row * columns, (row + 1) * columns), row * stride);
    }
  }
  const rowBytes = stride * matrixElementBytes(matrix.dtype);
  for (const block of matrix.blocks) {
    const first = Math.max(rowStart, block.rowStart);
    const end = Math.min(rowStart + rowCount, block.rowStart + block.rows);
    if (first >= end) continue;
    block.tensor.write(
      new Uint8Array(
        padded.buffer,
        padded.byteOffset + (first - rowStart) * rowBytes,
        (end - first) * rowBytes,
      ),
      (first - block.rowStart) * rowBytes,
    );
  }
}
