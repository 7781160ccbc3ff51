/** Ids of texts that are larger than memory, by a tokenizer: encoded once from end to end, then again by ranges. */

import { quote } from "../quote.ts";
import { readRange } from "../read_range.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { IdRange } from "./text_file.ts";

/**
 * Bytes that are encoded at once: a place of two numbers is kept for each, and to read a range, what stands in the same piece
 * before and after it is encoded in vain.
 */
const PIECE_BYTES = 2 ** 12;

/** A part of a file: UTF-8 from its byte `start` to below `end`. */
export interface TextRange {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** The ids of such a part. */
export interface TokenizedRange extends IdRange {
  /** How many are like the first, from the start. */
  readonly firstRun: number;
}

/**
 * Encodes a part of a file once, and keeps where its pieces begin. The ids are those that the tokenizer gives the part as one
 * text; reading some opens the file and closes it again.
 *
 * @throws {RangeError} From `subarray`, if the file is another than it was.
 */
export async function tokenizedIds(
  { path, start, end }: TextRange,
  tokenizer: Tokenizer,
): Promise<TokenizedRange> {
  /** Where each piece begins, in bytes and in ids; the last ones are the ends. */
  const byteMarks = [start], idMarks = [0];
  let byte = start, count = 0, firstRun = 0;
  let first: number | undefined;
  const encoder = new TextEncoder();
  const take = ({ text, ids }: { readonly text: string; readonly ids: readonly number[] }) => {
    if (text === "" && ids.length === 0) return;
    byte += encoder.encode(text).length;
    for (const id of ids) {
      first ??= id;
      if (firstRun === count && id === first) firstRun++;
      count++;
    }
    byteMarks.push(byte);
    idMarks.push(count);
  };
  const stream = tokenizer.encodeStream();
  for await (const text of textPieces({ path, start, end })) take(stream.push(text));
  take(stream.flush());
  return {
    ...{ length: count, firstRun },
    subarray: rangeReader(
      path,
      tokenizer,
      Float64Array.from(byteMarks),
      Float64Array.from(idMarks),
    ),
  };
}

async function* textPieces({ path, start, end }: TextRange): AsyncGenerator<string, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const file = await Deno.open(path);
  try {
    await file.seek(start, Deno.SeekMode.Start);
    const buffer = new Uint8Array(PIECE_BYTES);
    for (let at = start; at < end;) {
      const read = await file.read(buffer.subarray(0, end - at));
      if (read === null) throw changed(path);
      at += read;
      yield decoder.decode(buffer.subarray(0, read), { stream: at < end });
    }
  } finally {
    file.close();
  }
}

function rangeReader(
  path: string,
  tokenizer: Tokenizer,
  byteMarks: Float64Array,
  idMarks: Float64Array,
): IdRange["subarray"] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return (from, to) => {
    const ids = new Uint32Array(Math.max(0, to - from));
    if (ids.length === 0) return ids;
    const begin = pieceOf(idMarks, from), end = pieceOf(idMarks, to - 1) + 1;
    const byteAt = (piece: number) => byteMarks[piece] ?? 0;
    const bytes = readRange(path, byteAt(begin), byteAt(end) - byteAt(begin));
    for (let piece = begin; piece < end; piece++) {
      const place = byteAt(piece) - byteAt(begin);
      const own = bytes.subarray(place, place + byteAt(piece + 1) - byteAt(piece));
      const idStart = idMarks[piece] ?? 0, expected = (idMarks[piece + 1] ?? 0) - idStart;
      let found: readonly number[];
      try {
        const stream = tokenizer.encodeStream({ continues: piece > 0 });
        found = [...stream.push(decoder.decode(own)).ids, ...stream.flush().ids];
      } catch (cause) {
        throw changed(path, cause);
      }
      // What stands behind a whole text comes after each of its pieces here.
      if (found.length < expected) throw changed(path);
      for (let i = 0; i < expected; i++) {
        const at = idStart + i - from;
        if (at >= 0 && at < ids.length) ids[at] = found[i] ?? 0;
      }
    }
    return ids;
  };
}

/** The piece that an id lies in. */
function pieceOf(idMarks: Float64Array, id: number): number {
  let low = 0, high = idMarks.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((idMarks[middle] ?? 0) <= id) low = middle;
    else high = middle;
  }
  return low;
}

function changed(path: string, cause?: unknown): RangeError {
  return new RangeError(
    `Cannot read ${quote(path)}: it has changed since training began with it`,
    { cause },
  );
}
