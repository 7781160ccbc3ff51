import type { ByteSource } from "../byte_source.ts";
import { quote } from "../quote.ts";

/** A zip archive is malformed, or uses what this reader refuses. Reading it again will not help. */
export class ZipError extends SyntaxError {
  /** The class's name. */
  override readonly name = "ZipError";
}

/** One file inside an archive. */
export interface ZipEntry {
  /** Its path, with "/" between folders. */
  readonly name: string;
  /** Bytes that it takes in the archive; its own length where it is stored as it is. */
  readonly sizeBytes: number;
}

/** Checkpoints have one file a tensor: thousands. */
const MAX_ENTRIES = 250_000;
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const CENTRAL_BYTES = 46;
/** A local header, before its name. */
export const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;

const FLAG_ENCRYPTED = 1;

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Makes the error from what was found. */
export type Fail = (found: string) => ZipError;

/** What the central directory says of one file. */
export interface CentralEntry extends ZipEntry {
  /** The name as stored. */
  readonly rawName: Uint8Array;
  /** General purpose bits. */
  readonly flags: number;
  /** How it is compressed; 0 where it is stored as it is. */
  readonly method: number;
  /** The checksum, not verified. */
  readonly crc32: number;
  /** Where its local header begins. */
  readonly begin: number;
  /** Where the next thing in the archive begins, which its data must not pass. */
  limit: number;
}

/** Where the central directory is. */
export interface Directory {
  /** Its first byte. */
  readonly begin: number;
  /** Its length. */
  readonly sizeBytes: number;
  /** How many files it says it has. */
  readonly count: number;
}

/** Finds the end record, which a comment of any content may follow, and its zip64 form before it. */
export async function findDirectory(source: ByteSource, fail: Fail): Promise<Directory> {
  const tailBytes = Math.min(
    source.sizeBytes,
    END_BYTES + MAX_COMMENT_BYTES + LOCATOR_BYTES + END64_BYTES,
  );
  const tailBegin = source.sizeBytes - tailBytes;
  const tail = view(await source.read(tailBegin, tailBytes));
  let at = tailBytes - END_BYTES;
  while (
    at >= 0 && !(tail.getUint32(at, true) === 0x06054b50 &&
      at + END_BYTES + tail.getUint16(at + 20, true) === tailBytes)
  ) at--;
  if (at < 0) {
    throw fail("it has no zip end record: the download may be incomplete, or it is another format");
  }
  const endBegin = tailBegin + at;
  let directory = {
    begin: tail.getUint32(at + 16, true),
    sizeBytes: tail.getUint32(at + 12, true),
    count: tail.getUint16(at + 10, true),
  };
  let disks = tail.getUint32(at + 4, true);
  if (tail.getUint16(at + 8, true) !== directory.count) disks = 1;
  let directoryLimit = endBegin;
  const locatorBegin = endBegin - LOCATOR_BYTES;
  const hasLocator = at >= LOCATOR_BYTES && tail.getUint32(at - LOCATOR_BYTES, true) === 0x07064b50;
  if (hasLocator) {
    const begin = readSize(tail, at - LOCATOR_BYTES + 8);
    if (begin === undefined || begin + END64_BYTES > locatorBegin) {
      throw fail("the zip64 locator points outside the file");
    }
    const end64 = view(await source.read(begin, END64_BYTES));
    if (end64.getUint32(0, true) !== 0x06064b50) {
      throw fail(`there is no zip64 end record at byte ${begin}, where its locator points`);
    }
    const wide = {
      begin: readSize(end64, 48),
      sizeBytes: readSize(end64, 40),
      count: readSize(end64, 32),
    };
    if (
      wide.begin === undefined || wide.sizeBytes === undefined || wide.count === undefined ||
      !agrees(directory.begin, wide.begin, 0xffffffff) ||
      !agrees(directory.sizeBytes, wide.sizeBytes, 0xffffffff) ||
      !agrees(directory.count, wide.count, 0xffff)
    ) throw fail("the zip64 end record disagrees with the end record");
    directory = { begin: wide.begin, sizeBytes: wide.sizeBytes, count: wide.count };
    if (readSize(end64, 24) !== directory.count) disks = 1;
    directoryLimit = begin;
  }
  if (disks !== 0) throw fail("it is a part of an archive in several files");
  if (directory.begin + directory.sizeBytes > directoryLimit) {
    throw fail(
      `the central directory ends at byte ${directory.begin + directory.sizeBytes}, past the end ` +
        `record at ${directoryLimit}`,
    );
  }
  if (directory.count > MAX_ENTRIES || directory.sizeBytes > MAX_DIRECTORY_BYTES) {
    throw fail(
      `the central directory has ${directory.count} files in ${directory.sizeBytes} bytes, and at ` +
        `most ${MAX_ENTRIES} in ${MAX_DIRECTORY_BYTES} are allowed`,
    );
  }
  if (directory.count * CENTRAL_BYTES > directory.sizeBytes) {
    throw fail(
      `the central directory claims ${directory.count} files in ${directory.sizeBytes} bytes`,
    );
  }
  return directory;
}

/** Reads the central directory, and checks that its files fit into the archive beside each other. */
export function parseDirectory(
  bytes: Uint8Array<ArrayBuffer>,
  directory: Directory,
  fail: Fail,
): Map<string, CentralEntry> {
  const data = view(bytes);
  const all: CentralEntry[] = [];
  const entries = new Map<string, CentralEntry>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    if (at + CENTRAL_BYTES > bytes.length || data.getUint32(at, true) !== 0x02014b50) {
      throw fail(`there is no central header at byte ${directory.begin + at} for file ${i}`);
    }
    const nameEnd = at + CENTRAL_BYTES + data.getUint16(at + 28, true);
    const extraEnd = nameEnd + data.getUint16(at + 30, true);
    const end = extraEnd + data.getUint16(at + 32, true);
    if (end > bytes.length) {
      throw fail(`the central header of file ${i} passes the directory's end`);
    }
    const entry = parseCentral(
      bytes.subarray(at, end),
      nameEnd - at,
      extraEnd - at,
      directory,
      fail,
    );
    all.push(entry);
    if (entry.name.endsWith("/") && entry.sizeBytes === 0) {
      // A folder: it takes up space and holds nothing.
    } else if (entries.has(entry.name)) {
      throw fail(`it has two files named ${quote(entry.name)}`);
    } else entries.set(entry.name, entry);
    at = end;
  }
  if (at !== bytes.length) {
    throw fail(`the central directory has ${bytes.length - at} bytes after its last file`);
  }
  checkOverlaps(all, directory.begin, fail);
  return entries;
}

function parseCentral(
  bytes: Uint8Array<ArrayBuffer>,
  nameEnd: number,
  extraEnd: number,
  directory: Directory,
  failArchive: Fail,
): CentralEntry {
  const data = view(bytes);
  const rawName = bytes.slice(CENTRAL_BYTES, nameEnd);
  const name = decodeName(rawName, failArchive);
  const fail: Fail = (found) => failArchive(`file ${quote(name)} ${found}`);
  const flags = data.getUint16(8, true);
  const method = data.getUint16(10, true);
  if (flags & FLAG_ENCRYPTED) throw fail("is encrypted");
  const [fullBytes, sizeBytes, begin, disk] = widen(
    [data.getUint32(24, true), data.getUint32(20, true), data.getUint32(42, true)],
    data.getUint16(34, true),
    view(bytes.subarray(nameEnd, extraEnd)),
    fail,
  );
  if (fullBytes === undefined || sizeBytes === undefined || begin === undefined) {
    throw fail("has sizes beyond 2^53 - 1");
  }
  if (disk !== 0) throw fail("is in another part of the archive");
  if (method === 0 && sizeBytes !== fullBytes) {
    throw fail(`is stored, and has ${sizeBytes} bytes stored but ${fullBytes} in all`);
  }
  if (begin + LOCAL_BYTES + rawName.length + sizeBytes > directory.begin) {
    throw fail(
      `begins at byte ${begin} with ${sizeBytes} bytes, and passes the central directory at ` +
        `${directory.begin}: the download may be incomplete`,
    );
  }
  const crc32 = data.getUint32(16, true);
  return { name, sizeBytes, rawName, flags, method, crc32, begin, limit: directory.begin };
}

/** Replaces fields that are full by those of the zip64 extra field, which has only these, in order. */
function widen(
  fields: readonly number[],
  disk: number,
  extra: DataView,
  fail: Fail,
): (number | undefined)[] {
  const needed = fields.filter((field) => field === 0xffffffff).length;
  if (needed === 0 && disk !== 0xffff) return [...fields, disk];
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const end = at + 4 + extra.getUint16(at + 2, true);
    if (end > extra.byteLength) throw fail("has an extra field that passes its end");
    if (extra.getUint16(at, true) === 1) {
      if (end < at + 4 + needed * 8 + (disk === 0xffff ? 4 : 0)) break;
      let position = at + 4;
      const wide = fields.map((field) => {
        if (field !== 0xffffffff) return field;
        position += 8;
        return readSize(extra, position - 8);
      });
      return [...wide, disk === 0xffff ? extra.getUint32(position, true) : disk];
    }
    at = end;
  }
  throw fail("lacks the zip64 extra field that its sizes need");
}

function decodeName(bytes: Uint8Array, fail: Fail): string {
  let name: string;
  try {
    name = DECODER.decode(bytes);
  } catch {
    throw fail("it has a file name that is not UTF-8");
  }
  // Nothing is ever unpacked, but a name that tries to leave its folder has no honest reason.
  if (
    name === "" || name.includes("\0") || name.includes("\\") || name.startsWith("/") ||
    name.split("/").includes("..")
  ) throw fail(`it has a file with the unsafe name ${quote(name)}`);
  return name;
}

/** Two files that share bytes are how a small archive claims to hold a large one. */
function checkOverlaps(entries: readonly CentralEntry[], directoryBegin: number, fail: Fail): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin);
  sorted.forEach((entry, index) => {
    const next = sorted[index + 1];
    entry.limit = next?.begin ?? directoryBegin;
    if (entry.begin + LOCAL_BYTES + entry.rawName.length + entry.sizeBytes > entry.limit) {
      throw fail(
        `file ${quote(entry.name)} at byte ${entry.begin} with ${entry.sizeBytes} bytes overlaps ` +
          `file ${quote(next?.name ?? "")} at byte ${entry.limit}`,
      );
    }
  });
}

/** A narrow field agrees with its wide form, or is full and says nothing. */
function agrees(narrow: number, wide: number, full: number): boolean {
  return narrow === wide || narrow === full;
}

/** A 64-bit size, or undefined beyond 2^53 - 1. */
function readSize(data: DataView, at: number): number | undefined {
  const value = Number(data.getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** All of some bytes. */
export function view(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
