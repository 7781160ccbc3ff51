import type { MatrixDType } from "../../src/ops/matrix.ts";

/** A weight as a checkpoint of some dtype stores it. */
export interface RoundedWeight {
  readonly dtype: MatrixDType;
  /** Floats, or the bits of f16 or bf16. */
  readonly stored: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
  /** The stored values as f32: what the oracle must see. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Rounds to nearest even. */
export function roundedWeight(
  weight: Float32Array<ArrayBuffer>,
  dtype: MatrixDType,
): RoundedWeight {
  if (dtype === "f32") return { dtype, stored: weight, values: weight };
  if (dtype === "f16") {
    const halves = new Float16Array(weight);
    return { dtype, stored: new Uint16Array(halves.buffer), values: new Float32Array(halves) };
  }
  const words = new Uint32Array(weight.buffer, weight.byteOffset, weight.length);
  const stored = Uint16Array.from(words, (word) => (word + 0x7fff + (word >>> 16 & 1)) >>> 16);
  const values = new Float32Array(Uint32Array.from(stored, (bits) => bits << 16).buffer);
  return { dtype, stored, values };
}
