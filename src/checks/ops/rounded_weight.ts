import type { MatrixDType } from "../../model/weights/dtype.ts";
import { type QuantizedRows, quantizeRows } from "../../model/weights/quantize.ts";
import { decodeFloat16, encodeFloat16 } from "../../runtime/float16.ts";
import { dequantize } from "../reference/dequantize.ts";

/** A weight as a checkpoint of some dtype stores it. */
export interface RoundedWeight {
  readonly dtype: MatrixDType;
  /** Floats, the bits of f16 or bf16, or quantized rows. */
  readonly stored: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | QuantizedRows;
  /** The stored values as f32, which holds them exactly: what the oracle must see. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Rounds to nearest even, or to the nearest code: only there does it matter how long a row is. */
export function roundedWeight(
  weight: Float32Array<ArrayBuffer>,
  dtype: MatrixDType,
  columns = weight.length,
): RoundedWeight {
  if (dtype === "f32") return { dtype, stored: weight, values: weight };
  if (dtype === "f16") {
    const stored = encodeFloat16(weight);
    return { dtype, stored, values: decodeFloat16(stored) };
  }
  if (dtype === "bf16") {
    const words = new Uint32Array(weight.buffer, weight.byteOffset, weight.length);
    const stored = Uint16Array.from(words, (word) => (word + 0x7fff + (word >>> 16 & 1)) >>> 16);
    const values = new Float32Array(Uint32Array.from(stored, (bits) => bits << 16).buffer);
    return { dtype, stored, values };
  }
  const stored = quantizeRows(weight, columns, dtype);
  const shape = { rows: weight.length / columns, columns, bits: dtype === "int8" ? 8 : 4 } as const;
  const values = dequantize(stored.codes, decodeFloat16(stored.scales), shape);
  return { dtype, stored, values: new Float32Array(values) };
}
