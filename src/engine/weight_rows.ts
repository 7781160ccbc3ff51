/** Stored rows of a tensor as a weight keeps them: as they are, converted, or quantized. */

import { firstOverflow, fromFloat32, toFloat32 } from "../io/dtype.ts";
import type { TensorInfo } from "../io/tensor_file.ts";
import type { WeightRows } from "../model/executor.ts";
import { elementCount } from "../model/shapes.ts";
import { isQuantized } from "../model/weights/dtype.ts";
import type { PlannedTensor } from "../model/weights/load_plan.ts";
import type { Quantizing } from "./quantizing.ts";
import { release, requireFloat32 } from "./tensor_pieces.ts";

/** Some rows of a piece, as the weight keeps them. */
export interface Part {
  /** The first one, counted from the piece's. */
  readonly firstRow: number;
  readonly rows: WeightRows;
}

/** A piece's rows as the weight keeps them; what goes wrong says where. */
export async function partsOf(
  quantizing: Quantizing,
  tensor: PlannedTensor<TensorInfo>,
  bytes: Uint8Array<ArrayBuffer>,
  firstRow: number,
): Promise<readonly Part[]> {
  const { stored, weight: { spec, dtype }, transform } = tensor;
  try {
    if (transform !== "quantize" || !isQuantized(dtype)) {
      return [{ firstRow: 0, rows: rowsOf(tensor, bytes) }];
    }
    const columns = elementCount(spec.shape.slice(1));
    return await quantizing.run({ bytes, stored: stored.dtype, columns, dtype });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(
      `Cannot load "${stored.name}", from row ${firstRow} on: ${reason}`,
      { cause: error },
    );
  }
}

function rowsOf(
  { stored, weight: { dtype }, part, transform }: PlannedTensor<TensorInfo>,
  bytes: Uint8Array<ArrayBuffer>,
): WeightRows {
  if (part === "codes") return { codes: bytes };
  if (part === "scales") return { scales: words16(bytes) };
  if (transform === "none" && dtype !== "f32") return words16(bytes);
  const values = toFloat32(bytes, stored.dtype);
  if (stored.dtype === "F64") requireFloat32(values, bytes);
  if (dtype === "f32") return values;
  const rows = rounded(values, dtype === "f16" ? "F16" : "BF16");
  if (values.buffer !== bytes.buffer) release(values);
  return rows;
}

/** What a type cannot hold would be infinite, and a state NaN from then on. */
function rounded(values: Float32Array, dtype: "F16" | "BF16"): Uint16Array<ArrayBuffer> {
  const lost = firstOverflow(values, dtype);
  if (lost < 0) return words16(fromFloat32(values, dtype));
  const largest = dtype === "F16" ? "65504" : "3.39e38";
  throw new RangeError(
    `it holds ${values[lost]}, and ${largest} is the largest number of ${dtype}`,
  );
}

function words16(bytes: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}
