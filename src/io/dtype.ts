import { decodeFloat16, encodeFloat16 } from "../runtime/float16.ts";

/**
 * The element type of a stored tensor, by its safetensors name.
 *
 * All byte-sized types of the format. Its sub-byte types (F4, F6_E2M3, F6_E3M2) are not here: the
 * format does not define in which order their bits are packed.
 */
export type DType =
  | "BOOL"
  | "U8"
  | "I8"
  | "F8_E5M2"
  | "F8_E4M3"
  | "F8_E8M0"
  | "F8_E4M3FNUZ"
  | "F8_E5M2FNUZ"
  | "I16"
  | "U16"
  | "F16"
  | "BF16"
  | "I32"
  | "U32"
  | "F32"
  | "C64"
  | "F64"
  | "I64"
  | "U64";

// The order is the reference implementation's, and decides where a writer puts a tensor.
const DTYPE_SIZES: Readonly<Record<DType, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
};

const RANKS: ReadonlyMap<string, number> = new Map(
  Object.keys(DTYPE_SIZES).map((name, index) => [name, index]),
);

/** Whether `name` is a {@linkcode DType}. */
export function isDType(name: string): name is DType {
  return RANKS.has(name);
}

/**
 * Bytes of one element.
 *
 * @param dtype Element type.
 * @returns 1, 2, 4 or 8.
 */
export function dtypeSizeBytes(dtype: DType): number {
  return DTYPE_SIZES[dtype];
}

/**
 * Compares by the format's order of types: never decreasing in size.
 *
 * @param left Element type.
 * @param right Element type.
 * @returns Negative, zero or positive, as `Array.prototype.sort` wants it.
 */
export function compareDTypes(left: DType, right: DType): number {
  return (RANKS.get(left) ?? 0) - (RANKS.get(right) ?? 0);
}

/**
 * Little-endian elements of any real type as f32, each rounded once, to nearest even.
 *
 * Subnormals, infinities and NaN are kept. Integers and F64 beyond f32's precision are rounded; F64
 * beyond its range becomes infinite. BOOL is 0 or 1.
 *
 * @param bytes Elements without gaps; any byteOffset will do.
 * @param dtype Their type.
 * @returns One float an element. For F32 at an aligned offset it is a view of `bytes`, else a copy.
 * @throws {RangeError} If `bytes` is not a whole number of elements.
 * @throws {TypeError} If the type is C64, which is not a real number.
 */
export function toFloat32(bytes: Uint8Array, dtype: DType): Float32Array {
  const size = dtypeSizeBytes(dtype);
  if (bytes.byteLength % size !== 0) {
    throw new RangeError(
      `Cannot convert ${dtype} to F32: ${bytes.byteLength} bytes are not a multiple of ${size}`,
    );
  }
  const length = bytes.byteLength / size;
  switch (dtype) {
    case "F32":
      return new Float32Array(...aligned(bytes, 4, length));
    case "F16":
      return decodeFloat16(new Uint16Array(...aligned(bytes, 2, length)));
    case "BF16":
      return bfloat16ToFloat32(new Uint16Array(...aligned(bytes, 2, length)));
    case "F64":
      return new Float32Array(new Float64Array(...aligned(bytes, 8, length)));
    case "I64":
      return Float32Array.from(new BigInt64Array(...aligned(bytes, 8, length)), bigToFloat32);
    case "U64":
      return Float32Array.from(new BigUint64Array(...aligned(bytes, 8, length)), bigToFloat32);
    case "I32":
      return new Float32Array(new Int32Array(...aligned(bytes, 4, length)));
    case "U32":
      return new Float32Array(new Uint32Array(...aligned(bytes, 4, length)));
    case "I16":
      return new Float32Array(new Int16Array(...aligned(bytes, 2, length)));
    case "U16":
      return new Float32Array(new Uint16Array(...aligned(bytes, 2, length)));
    case "I8":
      return new Float32Array(new Int8Array(...aligned(bytes, 1, length)));
    case "U8":
      return new Float32Array(bytes);
    case "BOOL":
      return Float32Array.from(bytes, (byte) => byte === 0 ? 0 : 1);
    case "F8_E5M2":
      return lookUp(bytes, (byte) => float8(byte, 2, 15, "ieee"));
    case "F8_E4M3":
      return lookUp(bytes, (byte) => float8(byte, 3, 7, "finite"));
    case "F8_E5M2FNUZ":
      return lookUp(bytes, (byte) => float8(byte, 2, 16, "unsigned zero"));
    case "F8_E4M3FNUZ":
      return lookUp(bytes, (byte) => float8(byte, 3, 8, "unsigned zero"));
    case "F8_E8M0":
      return lookUp(bytes, (byte) => byte === 255 ? NaN : 2 ** (byte - 127));
    case "C64":
      throw new TypeError("Cannot convert C64 to F32: complex numbers have two parts");
  }
}

/**
 * Floats as little-endian bytes of a stored type, rounded to nearest even.
 *
 * Values beyond the type's range become infinite, as IEEE 754 has it; NaN stays NaN.
 *
 * @param values The floats.
 * @param dtype What to store them as.
 * @returns New bytes, not a view of `values`.
 */
export function fromFloat32(
  values: Float32Array,
  dtype: "F32" | "F16" | "BF16",
): Uint8Array<ArrayBuffer> {
  switch (dtype) {
    case "F32":
      return new Uint8Array(new Float32Array(values).buffer);
    case "F16":
      return new Uint8Array(encodeFloat16(values).buffer);
    case "BF16":
      return new Uint8Array(float32ToBfloat16(values).buffer);
  }
}

/** What is rounded to infinity: half a step past the largest number, 65504 and 0x7f7f. */
const OVERFLOW = { F16: 65520, BF16: 3.3961775292304957e38 } as const;

/**
 * The first number that a type of float cannot hold, so that {@linkcode fromFloat32} makes it infinite.
 *
 * @param values The floats.
 * @param dtype What they are to become.
 * @returns Its index, or -1.
 */
export function firstOverflow(values: Float32Array, dtype: "F16" | "BF16"): number {
  const limit = OVERFLOW[dtype];
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] ?? 0);
    if (size >= limit && size < Infinity) return i;
  }
  return -1;
}

/** Typed-array arguments for `length` elements of `bytes`, copied where the offset is unaligned. */
function aligned(
  bytes: Uint8Array,
  alignment: number,
  length: number,
): [ArrayBufferLike, number, number] {
  if (bytes.byteOffset % alignment === 0) return [bytes.buffer, bytes.byteOffset, length];
  return [bytes.slice().buffer, 0, length];
}

function bfloat16ToFloat32(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

function float32ToBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0;
    // Rounding up a NaN could carry it into infinity: it keeps its top bits and is made quiet.
    halves[i] = (word & 0x7fffffff) > 0x7f800000
      ? (word >>> 16) | 0x40
      : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return halves;
}

/** Rounds once: a plain Number(value) would round to f64 first, then again to f32. */
function bigToFloat32(value: bigint): number {
  if (value >= -0x20_0000_0000_0000n && value <= 0x20_0000_0000_0000n) return Number(value);
  // 53 bits are kept exactly; the lowest one also stands for all that were dropped below it, which
  // is enough to break a tie the right way.
  const sticky = (value & 0x7ffn) === 0n ? 0n : 1n;
  return Math.fround(Number((value >> 11n) | sticky)) * 2048;
}

function lookUp(bytes: Uint8Array, decode: (byte: number) => number): Float32Array {
  const table = Float32Array.from({ length: 256 }, (_, byte) => decode(byte));
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = table[bytes[i] ?? 0] ?? NaN;
  return values;
}

/**
 * One 8-bit float. The kinds differ in their special values: "ieee" has infinities and NaN in the
 * top exponent; "finite" has NaN only with all bits set; "unsigned zero" has NaN in place of -0.
 */
function float8(
  byte: number,
  mantissaBits: number,
  bias: number,
  kind: "ieee" | "finite" | "unsigned zero",
): number {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte & 0x7f) >> mantissaBits;
  const mantissa = byte & ((1 << mantissaBits) - 1);
  if (kind === "unsigned zero" && byte === 0x80) return NaN;
  if (kind === "finite" && (byte & 0x7f) === 0x7f) return NaN;
  if (kind === "ieee" && exponent === (0x7f >> mantissaBits)) {
    return mantissa === 0 ? sign * Infinity : NaN;
  }
  const fraction = mantissa / (1 << mantissaBits);
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}
