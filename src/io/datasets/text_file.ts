/** Texts that are larger than memory: read once from end to end, then by ranges. A character is a Unicode code point. */

import { quote } from "../quote.ts";
import { readRange } from "../read_range.ts";
import { requireRegularFile } from "../regular_file.ts";

/** What one reading of a text file tells. */
export interface ScannedText {
  /** The file. */
  readonly path: string;
  /** Its length. */
  readonly sizeBytes: number;
  /** How many characters it has, but for a byte order mark. */
  readonly characterCount: number;
  /** Each of its characters once, by code point: their places are their ids. */
  readonly characters: readonly string[];
  /** Where every so many-th character begins, in bytes. */
  readonly marks: Float64Array;
  /** How many characters are like the first, from the start. */
  readonly firstRun: number;
  /** How often CR and LF follow one another. */
  readonly lineEnds: number;
  /** How many characters are NUL. */
  readonly nuls: number;
}

/** Ids of a part of a text, read as they are asked for. */
export interface IdRange {
  /** How many. */
  readonly length: number;
  /** Those from `start` to below `end`. */
  subarray(start: number, end: number): ArrayLike<number>;
}

/** Bytes that are read at once in the first reading. */
const PIECE_BYTES = 2 ** 20;
/** Characters from mark to mark: a mark is 8 bytes, and half as many characters are read in vain for each range. */
const MARK_EVERY = 2 ** 11;
/** Bytes of the longest character. */
const LONGEST = 4;

/** The first byte of a character: how many follow, its own bits, and the least code point that so many bytes are for. */
function kindOf(byte: number): readonly [following: number, bits: number, least: number] {
  if (byte < 0x80) return [0, byte, 0];
  if (byte >= 0xc2 && byte < 0xe0) return [1, byte & 0x1f, 0x80];
  if (byte >= 0xe0 && byte < 0xf0) return [2, byte & 0x0f, 0x800];
  if (byte >= 0xf0 && byte < 0xf5) return [3, byte & 0x07, 0x10000];
  return [-1, 0, 0];
}

/**
 * The character that begins at a place.
 *
 * @returns Its code point and its length; a length of 0 where it goes on past the end, and -1 where it is none.
 */
function characterAt(bytes: Uint8Array, at: number): readonly [point: number, length: number] {
  const [following, bits, least] = kindOf(bytes[at] ?? 0xff);
  if (following < 0) return [0, -1];
  let point = bits;
  for (let i = 1; i <= following; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return [0, 0];
    if ((byte & 0xc0) !== 0x80) return [0, -1];
    point = point << 6 | byte & 0x3f;
  }
  const isNone = point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000);
  return isNone ? [0, -1] : [point, following + 1];
}

/**
 * Reads a text file once, in constant memory but for the marks: four bytes for every thousand of the text.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {SyntaxError} If it is empty, or not UTF-8: the first bad byte is named.
 */
export async function scanTextFile(path: string): Promise<ScannedText> {
  const { sizeBytes } = await requireRegularFile(path);
  const file = await Deno.open(path);
  try {
    return await scan(path, sizeBytes, file);
  } finally {
    file.close();
  }
}

async function scan(path: string, sizeBytes: number, file: Deno.FsFile): Promise<ScannedText> {
  const seen = new Uint8Array(0x110000);
  const marks: number[] = [];
  let characterCount = 0, lineEnds = 0, nuls = 0, firstRun = 0;
  let first = -1, before = -1;
  const buffer = new Uint8Array(PIECE_BYTES);
  /** How many bytes are held at the buffer's start, of a character that was cut, and where in the file they begin. */
  let held = 0, start = 0;
  for (;;) {
    const count = await file.read(buffer.subarray(held));
    const bytes = buffer.subarray(0, held + (count ?? 0));
    let at = start === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    while (at < bytes.length) {
      let point = bytes[at] ?? 0, length = 1;
      if (point >= 0x80) {
        [point, length] = characterAt(bytes, at);
        // Cut between two pieces, it is read with the next.
        if (length === 0 && count !== null) break;
        if (length <= 0) throw invalid(path, start + at, bytes[at] ?? 0);
      }
      if (characterCount % MARK_EVERY === 0) marks.push(start + at);
      if (characterCount === 0) first = point;
      if (firstRun === characterCount && point === first) firstRun++;
      characterCount++;
      seen[point] = 1;
      if (point === 10 && before === 13) lineEnds++;
      else if (point === 0) nuls++;
      before = point;
      at += length;
    }
    if (count === null) break;
    buffer.copyWithin(0, at, bytes.length);
    held = bytes.length - at;
    start += at;
  }
  if (characterCount === 0) {
    throw new SyntaxError(`Cannot read ${quote(path)}: it is empty, expected text`);
  }
  const characters: string[] = [];
  for (const [point, isThere] of seen.entries()) {
    if (isThere === 1) characters.push(String.fromCodePoint(point));
  }
  return {
    ...{ path, sizeBytes, characterCount, characters, firstRun, lineEnds, nuls },
    marks: Float64Array.from(marks),
  };
}

function invalid(path: string, offset: number, byte: number): SyntaxError {
  return new SyntaxError(
    `Cannot read ${quote(path)}: byte ${offset} is 0x${
      byte.toString(16).padStart(2, "0")
    }, which is not UTF-8 there. Convert the file to UTF-8`,
  );
}

/** The byte at which a character begins; the file's length for the place after the last one. */
export function byteOf({ path, sizeBytes, marks }: ScannedText, character: number): number {
  const mark = Math.floor(character / MARK_EVERY);
  let at = marks[mark] ?? sizeBytes;
  const bytes = readRange(path, at, Math.min(sizeBytes - at, MARK_EVERY * LONGEST));
  const start = at;
  for (let i = mark * MARK_EVERY; i < character; i++) {
    const [, length] = characterAt(bytes, at - start);
    at += Math.max(length, 0);
  }
  return at;
}

/**
 * The ids of a part of a file's characters, from `start` to below `end`. Reading some opens the file and closes it again.
 *
 * @throws {RangeError} From `subarray`, if the file is another than it was.
 */
export function fileIds(
  { path, sizeBytes, marks, characters }: ScannedText,
  { start, end }: { readonly start: number; readonly end: number },
): IdRange {
  const idOf = new Uint32Array(0x110000);
  for (const [id, character] of characters.entries()) idOf[character.codePointAt(0) ?? 0] = id + 1;
  const changed = () =>
    new RangeError(`Cannot read ${quote(path)}: it has changed since training began with it`);
  return {
    length: end - start,
    subarray(from, to) {
      const first = start + from, count = to - from;
      if (count <= 0) return new Uint32Array();
      const mark = Math.floor(first / MARK_EVERY);
      const byteStart = marks[mark] ?? 0;
      // Up to the mark after the last character.
      const byteEnd = marks[Math.floor((first + count - 1) / MARK_EVERY) + 1] ?? sizeBytes;
      const skipped = first - mark * MARK_EVERY;
      const most = (skipped + count) * LONGEST;
      const bytes = readRange(path, byteStart, Math.min(byteEnd - byteStart, most));
      const ids = new Uint32Array(count);
      for (let i = -skipped, at = 0; i < count; i++) {
        const [point, length] = characterAt(bytes, at);
        const id = idOf[point] ?? 0;
        if (length <= 0 || id === 0) throw changed();
        if (i >= 0) ids[i] = id - 1;
        at += length;
      }
      return ids;
    },
  };
}
