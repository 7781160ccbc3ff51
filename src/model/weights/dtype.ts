/** How the elements of a matrix are kept, and the bytes that they take. */

import { type QuantizedDType, quantizedRowSizes } from "./quantize.ts";
import { roundUp } from "../shapes.ts";

/** Floating-point weights. */
export type FloatDType = "f32" | "f16" | "bf16";

/** How the elements of a matrix are stored. Arithmetic is f32 always. */
export type MatrixDType = FloatDType | QuantizedDType;

/** Rows of floats are padded with zeros to a multiple of this, so that kernels load 8 elements at a time. */
export const MATRIX_ROW_STEP = 8;

/** Whether weights of this type have scales. */
export function isQuantized(dtype: MatrixDType): dtype is QuantizedDType {
  return dtype === "int8" || dtype === "int4";
}

/** Bytes of a row: its elements, and its scales; both multiples of 16. */
export function matrixRowParts(
  columns: number,
  dtype: MatrixDType,
): { elements: number; scales: number } {
  if (isQuantized(dtype)) {
    const { groups, codeBytes } = quantizedRowSizes(columns, dtype);
    return { elements: codeBytes, scales: roundUp(groups * 2, 16) };
  }
  return { elements: roundUp(columns, MATRIX_ROW_STEP) * (dtype === "f32" ? 4 : 2), scales: 0 };
}

/** Bytes of a row. */
export function matrixRowBytes(columns: number, dtype: MatrixDType): number {
  const { elements, scales } = matrixRowParts(columns, dtype);
  return elements + scales;
}

/** Bytes of a matrix, without allocating it. */
export function matrixBytes(shape: readonly [number, number], dtype: MatrixDType): number {
  return shape[0] * matrixRowBytes(shape[1], dtype);
}
