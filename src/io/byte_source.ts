import { quote } from "./quote.ts";

/**
 * Bytes that can be read at any offset: a file, a URL, or memory.
 *
 * Reads may overlap in time; each answer is the caller's own to keep and to change.
 */
export interface ByteSource extends Disposable {
  /** What messages call it: a file name or a URL. */
  readonly name: string;
  /** The whole length, known from the start. */
  readonly sizeBytes: number;
  /**
   * Reads exactly `length` bytes from `offset` on.
   *
   * @throws {RangeError} If the range is not inside the source.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Refuses a range that is not inside `sizeBytes` bytes.
 *
 * @param name What the message calls the source.
 * @param sizeBytes The source's length.
 * @param offset First byte.
 * @param length Number of bytes.
 * @throws {RangeError} If either is negative or not an integer, or the range passes the end.
 */
export function checkReadRange(
  name: string,
  sizeBytes: number,
  offset: number,
  length: number,
): void {
  if (
    !Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 ||
    offset + length > sizeBytes
  ) {
    throw new RangeError(
      `Cannot read ${quote(name)}: ${length} bytes at ${offset} asked for, ${sizeBytes} bytes held`,
    );
  }
}

/**
 * A source over bytes in memory.
 *
 * @param name What messages call it.
 * @param bytes The content; it is not copied, each read is.
 * @returns The source; disposing it does nothing.
 */
export function fromBytes(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    sizeBytes: bytes.byteLength,
    read(offset, length) {
      return new Promise((resolve) => {
        checkReadRange(name, bytes.byteLength, offset, length);
        resolve(new Uint8Array(bytes.subarray(offset, offset + length)));
      });
    },
    [Symbol.dispose]() {},
  };
}
