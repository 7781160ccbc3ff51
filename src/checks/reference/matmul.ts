import { at } from "./at.ts";

/** Sizes of a matmul: x is (rows, in), the weight (out, in). */
export interface MatmulShape {
  rows: number;
  in: number;
  out: number;
}

/**
 * y = x W^T + bias + residual.
 *
 * @param x (rows, in)
 * @param weight (out, in), as in the checkpoint
 * @param bias (out), or undefined
 * @param residual (rows, out), or undefined
 * @returns (rows, out)
 */
export function matmulFwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  shape: MatmulShape,
  residual?: ArrayLike<number>,
): Float64Array {
  const y = new Float64Array(shape.rows * shape.out);
  for (let i = 0; i < shape.rows; i++) {
    for (let o = 0; o < shape.out; o++) {
      let sum = bias === undefined ? 0 : at(bias, o);
      for (let k = 0; k < shape.in; k++) {
        sum += at(x, i * shape.in + k) * at(weight, o * shape.in + k);
      }
      y[i * shape.out + o] = sum + (residual === undefined ? 0 : at(residual, i * shape.out + o));
    }
  }
  return y;
}
