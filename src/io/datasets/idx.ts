/**
 * The IDX format of the MNIST files: a magic number, the sizes, then the values, big-endian.
 *
 *     byte 0-1  zero        byte 2  element type        byte 3  number of dimensions
 *     then one uint32 a dimension, then the elements in row-major order
 */

/** Elements of an IDX file, one array class for each element type. */
export type IdxData =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** An IDX file's contents. */
export interface IdxArray {
  /** Sizes, outermost first, such as `[10000, 28, 28]`. */
  readonly shape: readonly number[];
  /** Elements in row-major order, in this machine's byte order. */
  readonly data: IdxData;
}

/** How elements of a type are read. */
export interface ElementType {
  readonly sizeBytes: number;
  readonly read: (view: DataView, count: number) => IdxData;
}

/** Reads `count` big-endian elements with one accessor of DataView. */
function reader<T extends IdxData>(
  create: (count: number) => T,
  get: (view: DataView, offset: number) => number,
): (view: DataView, count: number) => T {
  return (view, count) => {
    const data = create(count);
    for (let i = 0; i < count; i++) data[i] = get(view, i * data.BYTES_PER_ELEMENT);
    return data;
  };
}

/** The element types by their codes. */
export const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [0x08, {
    sizeBytes: 1,
    read: (view, count) => new Uint8Array(view.buffer, view.byteOffset, count).slice(),
  }],
  [0x09, { sizeBytes: 1, read: reader((n) => new Int8Array(n), (v, o) => v.getInt8(o)) }],
  [0x0b, { sizeBytes: 2, read: reader((n) => new Int16Array(n), (v, o) => v.getInt16(o)) }],
  [0x0c, { sizeBytes: 4, read: reader((n) => new Int32Array(n), (v, o) => v.getInt32(o)) }],
  [0x0d, { sizeBytes: 4, read: reader((n) => new Float32Array(n), (v, o) => v.getFloat32(o)) }],
  [0x0e, { sizeBytes: 8, read: reader((n) => new Float64Array(n), (v, o) => v.getFloat64(o)) }],
]);

/** More dimensions than any dataset has; the header's own limit is 255. */
export const MAX_DIMENSIONS = 8;

/** Whether `bytes` begin as an IDX file does. */
export function isIdx(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0 && bytes[1] === 0 &&
    ELEMENT_TYPES.has(bytes[2] ?? 0) && (bytes[3] ?? 0) > 0;
}

/**
 * Parses an IDX file. The declared sizes must account for every byte of the file.
 *
 * @param bytes The whole file, uncompressed.
 * @param name What error messages call it.
 * @returns Shape and elements; the elements are a copy.
 * @throws {SyntaxError} If the file is not IDX, is cut short, or has bytes left over.
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const fail = (detail: string) => new SyntaxError(`Cannot read "${name}" as IDX: ${detail}`);
  const [zero0, zero1, typeCode, rank] = bytes;
  if (zero0 === undefined || zero1 === undefined || typeCode === undefined || rank === undefined) {
    throw fail(`${bytes.length} bytes, and the magic number alone needs 4`);
  }
  const type = ELEMENT_TYPES.get(typeCode);
  if (zero0 !== 0 || zero1 !== 0 || type === undefined) {
    const magic = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
    throw fail(`it begins with ${magic}, expected 00 00, an element type (08 to 0e) and a rank`);
  }
  if (rank < 1 || rank > MAX_DIMENSIONS) {
    throw fail(`${rank} dimensions, expected 1 to ${MAX_DIMENSIONS}`);
  }
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes) {
    throw fail(`${bytes.length} bytes, and a header of ${rank} dimensions needs ${headerBytes}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  // Eight uint32 factors can pass 2^53. The product is then inexact, but no file has that length.
  const count = shape.reduce((product, size) => product * size, 1);
  const needed = headerBytes + count * type.sizeBytes;
  if (needed !== bytes.length) {
    throw fail(
      `shape [${shape.join(", ")}] needs ${needed} bytes, and the file has ${bytes.length}` +
        (needed > bytes.length ? ": the download may be incomplete" : ""),
    );
  }
  const body = new DataView(bytes.buffer, bytes.byteOffset + headerBytes, count * type.sizeBytes);
  return { shape, data: type.read(body, count) };
}
