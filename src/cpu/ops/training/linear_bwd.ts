/** matmul_bwd_x, matmul_bwd_w and column_sum: the gradients of y = x weight^T + bias. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuMatrix, type CpuRowMatrix, isRowMatrix } from "../../machine/matrix.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { CHANNELS, rowsGrain } from "../grain.ts";
import type { LinearShape } from "../linear.ts";
import { addProduct } from "../product.ts";
import { requireSize } from "../require_size.ts";

/** How x and y lay in memory in the forward, and so their gradients now. */
export interface LinearBwdShape extends Omit<LinearShape, "residual"> {
  /** Adds to the gradient instead of overwriting it; default false. */
  readonly accumulate?: boolean;
}

/**
 * grad_x (rows, in) = grad_y (rows, out) weight.
 *
 * @throws {TypeError} If the weight is in panels.
 */
export function matmulBwdX(
  program: CpuProgram,
  tensors: { grad_y: CpuTensor; weight: CpuMatrix; grad_x: CpuTensor },
  shape: LinearBwdShape,
): void {
  const { grad_y, weight, grad_x } = tensors;
  const { rows, label, accumulate = false } = shape;
  const { ldX = weight.columns, xOffset = 0, ldY = weight.rows } = shape;
  requireSize(label, "grad_y", grad_y, (rows - 1) * ldY + weight.rows);
  requireSize(label, "grad_x", grad_x, xOffset + (rows - 1) * ldX + weight.columns);
  addProduct(program, {
    a: { address: grad_y.address, ld: ldY, turned: true },
    b: { address: weight.address, ld: rowsOf(weight, label).stride, turned: false },
    c: { address: grad_x.address + xOffset * 4, ld: ldX },
    adds: accumulate,
  }, { rows, columns: weight.columns, depth: weight.rows, label });
}

/**
 * grad_weight (out, in) = grad_y^T (out, rows) x (rows, in). What pads its rows is left as it is.
 *
 * @throws {TypeError} If the gradient is in panels.
 */
export function matmulBwdW(
  program: CpuProgram,
  tensors: { grad_y: CpuTensor; x: CpuTensor; grad_weight: CpuMatrix },
  shape: LinearBwdShape,
): void {
  const { grad_y, x, grad_weight } = tensors;
  const { rows, label, accumulate = false } = shape;
  const { ldX = grad_weight.columns, xOffset = 0, ldY = grad_weight.rows } = shape;
  requireSize(label, "grad_y", grad_y, (rows - 1) * ldY + grad_weight.rows);
  requireSize(label, "x", x, xOffset + (rows - 1) * ldX + grad_weight.columns);
  addProduct(program, {
    a: { address: grad_y.address, ld: ldY, turned: false },
    b: { address: x.address + xOffset * 4, ld: ldX, turned: false },
    c: { address: grad_weight.address, ld: rowsOf(grad_weight, label).stride },
    adds: accumulate,
  }, { rows: grad_weight.rows, columns: grad_weight.columns, depth: rows, label });
}

/**
 * y (columns) = the sum of the rows of x, in their order: the gradient of a bias, x being grad_y.
 *
 * @param shape Row r of x starts at element `r * ldX`, by default `columns`. `accumulate` (default false) adds to y.
 */
export function columnSum(
  program: CpuProgram,
  { x, y }: { x: CpuTensor; y: CpuTensor },
  shape: { rows: number; columns: number; ldX?: number; accumulate?: boolean; label: string },
): void {
  const { rows, columns, ldX = columns, accumulate = false, label } = shape;
  requireSize(label, "x", x, (rows - 1) * ldX + columns);
  requireSize(label, "y", y, columns);
  program.add({
    kind: OpKind.column_sum,
    items: Math.ceil(columns / CHANNELS),
    grain: rowsGrain(rows * CHANNELS),
    args: [x.address, ldX, y.address, rows, columns, Number(accumulate)],
    label,
  });
}

/**
 * Requires rows one after the other.
 *
 * @throws {TypeError} If the matrix is in panels.
 */
export function rowsOf(matrix: CpuMatrix, label: string): CpuRowMatrix {
  if (isRowMatrix(matrix)) return matrix;
  throw new TypeError(
    `Cannot record ${label}: its matrix is ${matrix.dtype} in panels, ` +
      "and gradients need f32 in rows one after the other",
  );
}
