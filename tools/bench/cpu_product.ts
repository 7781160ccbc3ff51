/** Weights of the CPU's benchmarks, and a check of their products. */

import {
  type CpuMatrixDType,
  isQuantized,
  type QuantizedRows,
} from "../../src/cpu/machine/matrix.ts";
import { fromFloat32 } from "../../src/io/dtype.ts";
import { dequantizeRows, quantizeRows } from "../../src/model/weights/quantize.ts";

/** A weight as a matrix takes it, and the values that it then has. */
export function storedWeight(
  values: Float32Array,
  columns: number,
  dtype: CpuMatrixDType,
): { elements: Float32Array | Uint16Array | QuantizedRows; values: Float32Array } {
  if (dtype === "f32") return { elements: values, values };
  if (isQuantized(dtype)) {
    const rows = quantizeRows(values, columns, dtype);
    return { elements: rows, values: dequantizeRows(rows, columns, dtype) };
  }
  const words = new Uint16Array(fromFloat32(values, dtype === "f16" ? "F16" : "BF16").buffer);
  const rounded = dtype === "f16"
    ? new Float32Array(new Float16Array(words.buffer))
    : new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);
  return { elements: words, values: rounded };
}

/**
 * Compares some elements of y = x weight^T with sums in float64.
 *
 * @returns The largest difference over the norm of what was added up.
 */
export function checkProduct(
  y: Float32Array,
  weight: Float32Array,
  x: Float32Array,
  [out, d_in]: readonly [number, number],
): number {
  let worst = 0;
  for (let n = 0; n < 64; n++) {
    const index = Math.floor(n * (y.length - 1) / 63);
    const [b, o] = [Math.floor(index / out), index % out];
    let [sum, squares] = [0, 0];
    for (let k = 0; k < d_in; k++) {
      const product = (weight[o * d_in + k] ?? NaN) * (x[b * d_in + k] ?? NaN);
      sum += product;
      squares += product * product;
    }
    worst = Math.max(worst, Math.abs(sum - (y[index] ?? NaN)) / Math.sqrt(squares));
  }
  if (!(worst < 1e-5)) throw new Error(`Cannot time the product: it is wrong by ${worst}`);
  return worst;
}
