import { type DType, dtypeSizeBytes, toFloat32 } from "../dtype.ts";
import { PickleObject, PickleTuple, type PickleValue } from "./pickle_values.ts";
import { tensorSizeBytes } from "../tensor_file.ts";

/** A NumPy array as it was pickled. */
export interface NumpyArray {
  /** Element type. */
  readonly dtype: DType;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Whether the first index varies fastest, as in Fortran, rather than the last. */
  readonly fortranOrder: boolean;
  /** Little-endian elements, without gaps. */
  readonly bytes: Uint8Array;
}

const DTYPES: ReadonlyMap<string, DType> = new Map([
  ["b1", "BOOL"],
  ["u1", "U8"],
  ["i1", "I8"],
  ["u2", "U16"],
  ["i2", "I16"],
  ["f2", "F16"],
  ["u4", "U32"],
  ["i4", "I32"],
  ["f4", "F32"],
  ["c8", "C64"],
  ["u8", "U64"],
  ["i8", "I64"],
  ["f8", "F64"],
]);

/**
 * Reads a NumPy array out of a pickle.
 *
 * @param value Anything that `unpickle()` gives.
 * @returns The array, or undefined if the value is none, or one of objects, text, dates or
 * big-endian numbers, or its bytes do not match its shape.
 */
export function numpyArray(value: PickleValue): NumpyArray | undefined {
  if (!(value instanceof PickleObject)) return undefined;
  if (!/^numpy\.(_core|core)\.multiarray\._reconstruct$/.test(value.classPath)) return undefined;
  if (!(value.state instanceof PickleTuple)) return undefined;
  const [, shape, description, fortranOrder, bytes] = value.state.items;
  const dtype = parseDType(description);
  if (dtype === undefined || !(bytes instanceof Uint8Array)) return undefined;
  if (!(shape instanceof PickleTuple) || !shape.items.every(isSize)) return undefined;
  const sizes = [...shape.items];
  if (tensorSizeBytes(dtype, sizes) !== bytes.length) return undefined;
  return { dtype, shape: sizes, fortranOrder: fortranOrder === true, bytes };
}

/**
 * Reads a NumPy number out of a pickle: what `np.mean` and the like leave in a checkpoint.
 *
 * @param value Anything that `unpickle()` gives.
 * @returns The number, or undefined if the value is none.
 */
export function numpyScalar(value: PickleValue): number | bigint | boolean | undefined {
  if (!(value instanceof PickleObject) || !(value.args instanceof PickleTuple)) return undefined;
  if (!/^numpy\.(_core|core)\.multiarray\.scalar$/.test(value.classPath)) return undefined;
  const [description, bytes] = value.args.items;
  const dtype = parseDType(description);
  if (dtype === undefined || dtype === "C64" || !(bytes instanceof Uint8Array)) return undefined;
  if (bytes.length !== dtypeSizeBytes(dtype)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "F64") return view.getFloat64(0, true);
  if (dtype === "I64") return view.getBigInt64(0, true);
  if (dtype === "U64") return view.getBigUint64(0, true);
  if (dtype === "I32") return view.getInt32(0, true);
  if (dtype === "U32") return view.getUint32(0, true);
  const number = toFloat32(bytes, dtype)[0];
  return dtype === "BOOL" ? number === 1 : number;
}

/** `numpy.dtype("f8", ...)` with a state whose second item is the byte order. */
function parseDType(value: PickleValue | undefined): DType | undefined {
  if (!(value instanceof PickleObject) || value.classPath !== "numpy.dtype") return undefined;
  if (!(value.args instanceof PickleTuple) || !(value.state instanceof PickleTuple)) {
    return undefined;
  }
  const [code] = value.args.items;
  const [, order] = value.state.items;
  if (typeof code !== "string" || (order !== "<" && order !== "|")) return undefined;
  return DTYPES.get(code);
}

function isSize(value: PickleValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
