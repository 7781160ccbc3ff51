/**
 * TAR archives: each file has a header of 512 bytes before it, and is filled up to a multiple of 512.
 *
 * Reads what tar writes today: ustar, names of pax headers, and GNU's long names. Links and devices are passed over.
 */

import type { ByteSource } from "./byte_source.ts";
import { quote } from "./quote.ts";

/** A file in an archive. */
export interface TarEntry {
  /** Its path in the archive. */
  readonly path: string;
  /** Where it begins. */
  readonly offset: number;
  /** Its length. */
  readonly sizeBytes: number;
}

const BLOCK_BYTES = 512;
/** Names longer than this are no names. */
const MAX_NAME_BYTES = 2 ** 16;

/** Whether a file begins as an archive does. */
export function isTar(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(257, 262)) === "ustar";
}

/**
 * Goes through an archive's headers.
 *
 * @param source The archive, not packed.
 * @returns Its plain files, in the archive's order.
 * @throws {SyntaxError} If a header is damaged, or a file ends past the archive's end.
 */
export async function* tarEntries(source: ByteSource): AsyncGenerator<TarEntry, void> {
  const fail = (at: number, found: string) =>
    new SyntaxError(`Cannot read ${quote(source.name)} as TAR: at byte ${at}, ${found}`);
  let longName: string | undefined;
  for (let at = 0; at + BLOCK_BYTES <= source.sizeBytes;) {
    const header = await source.read(at, BLOCK_BYTES);
    // Two empty blocks end an archive, but many end without.
    if (header.every((byte) => byte === 0)) return;
    requireChecksum(header, (found) => fail(at, found));
    const sizeBytes = numberAt(header, 124, 12);
    const start = at + BLOCK_BYTES;
    if (sizeBytes === undefined) throw fail(at, "a file's size is no octal number");
    if (start + sizeBytes > source.sizeBytes) {
      throw fail(
        at,
        `a file of ${sizeBytes} bytes begins, and ${
          source.sizeBytes - start
        } are left: the archive is cut short`,
      );
    }
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "L" || type === "x") {
      if (sizeBytes > MAX_NAME_BYTES) throw fail(at, `a name has ${sizeBytes} bytes`);
      const bytes = await source.read(start, sizeBytes);
      longName = type === "L" ? textOf(bytes) : paxPath(bytes) ?? longName;
    } else {
      const path = longName ?? headerPath(header);
      longName = undefined;
      if (type === "0" || type === "\0") yield { path, offset: start, sizeBytes };
    }
    at = start + Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
}

/** The sum of the header's bytes, its own taken as spaces. */
function requireChecksum(header: Uint8Array, fail: (found: string) => Error): void {
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  const stated = numberAt(header, 148, 8);
  if (stated === sum) return;
  throw fail(
    `a header's bytes add up to ${sum}, and it says ${
      stated ?? "no number"
    }: the archive is damaged, or is none`,
  );
}

/** An octal number, or one of 64 bits where the first bit is set; `undefined` where it is neither. */
function numberAt(header: Uint8Array, at: number, length: number): number | undefined {
  const field = header.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.reduce((sum, byte, i) => sum * 256 + (i === 0 ? byte & 0x7f : byte), 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const text = textOf(field).trim();
  return /^[0-7]+$/.test(text) ? parseInt(text, 8) : undefined;
}

function headerPath(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  const prefix = isTar(header) ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The `path` of pax records, each "LENGTH KEY=VALUE\n". */
function paxPath(bytes: Uint8Array): string | undefined {
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(textOf(bytes.subarray(at, Math.max(at, space))));
    if (!(length > 0) || !Number.isSafeInteger(length)) return undefined;
    const record = textOf(bytes.subarray(space + 1, at + length - 1));
    if (record.startsWith("path=")) return record.slice(5);
    at += length;
  }
  return undefined;
}

/** UTF-8 up to the first zero. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
