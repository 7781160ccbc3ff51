/** Files of series that are larger than memory: read once from end to end, then row by row. */

import { quote } from "../quote.ts";
import { readRange } from "../read_range.ts";
import { requireRegularFile } from "../regular_file.ts";
import { type SeriesForm, seriesForm } from "./series_files.ts";
import { type SeriesRow, SeriesRows } from "./series_rows.ts";
import { invalidByte, validPrefix } from "./text.ts";

/** Values of series, (count, length), wherever they are. */
export interface SeriesValues {
  /** All values. */
  readonly length: number;
  /** Those from `start` to below `end`. */
  subarray(start: number, end: number): Float32Array;
}

/** What the mean and the deviation of many series are made of. */
export interface RowMoments {
  /** Mean of a series' values. */
  readonly mean: number;
  /** Sum of their squared distances from it. */
  readonly squares: number;
}

/** Those of a series. */
export function momentsOf(values: ArrayLike<number>): RowMoments {
  let sum = 0, squares = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  const mean = sum / values.length;
  for (let i = 0; i < values.length; i++) squares += ((values[i] ?? 0) - mean) ** 2;
  return { mean, squares };
}

/** Mean and standard deviation of all values, of series of `length`. */
export function joinMoments(
  rows: readonly RowMoments[],
  length: number,
): { readonly mean: number; readonly std: number } {
  const mean = rows.reduce((sum, row) => sum + row.mean, 0) / rows.length;
  const squares = rows.reduce(
    (sum, row) => sum + row.squares + length * (row.mean - mean) ** 2,
    0,
  );
  return { mean, std: Math.sqrt(squares / (rows.length * length)) };
}

/** What is kept of each series of a file. */
interface KeptRow extends RowMoments {
  readonly line: number;
  readonly label: string;
  /** Where its line is, in bytes. */
  readonly start: number;
  readonly end: number;
}

/** Bytes that are read at once. */
export const PIECE_BYTES: number = 2 ** 20;
/** Lines longer than this are no lines. */
const MAX_LINE_BYTES = 2 ** 24;

/** Series in a file: a line is read when it is asked for. */
export class SeriesFile implements SeriesValues {
  /** The file. */
  readonly path: string;
  readonly length: number;
  readonly #rows: readonly KeptRow[];
  readonly #rowLength: number;
  readonly #form: SeriesForm;

  /** Series of `rowLength` values each. */
  constructor(path: string, rows: readonly KeptRow[], rowLength: number, form: SeriesForm) {
    this.path = path;
    this.length = rows.length * rowLength;
    this.#rows = rows;
    this.#rowLength = rowLength;
    this.#form = form;
  }

  subarray(start: number, end: number): Float32Array {
    const length = this.#rowLength;
    const first = Math.floor(start / length), last = Math.ceil(end / length);
    const values = new Float32Array(Math.max(0, last - first) * length);
    for (let row = first; row < last; row++) values.set(this.#read(row), (row - first) * length);
    return values.subarray(start - first * length, end - first * length);
  }

  /** Some of the series. */
  pick(indices: readonly number[]): SeriesFile {
    const rows = indices.flatMap((index) => this.#rows[index] ?? []);
    return new SeriesFile(this.path, rows, this.#rowLength, this.#form);
  }

  /** Mean and standard deviation of all values. */
  moments(): { readonly mean: number; readonly std: number } {
    return joinMoments(this.#rows, this.#rowLength);
  }

  #read(index: number): readonly number[] {
    const { start = 0, end = 0 } = this.#rows[index] ?? {};
    const changed = () =>
      new RangeError(
        `Cannot read ${quote(this.path)}: it has changed since training began with it`,
      );
    const bytes = readRange(this.path, start, end - start);
    if (bytes.length !== end - start) throw changed();
    const [row] = new SeriesRows(this.#form, changed).read(decode(bytes, this.path, start), 1);
    if (row?.values.length !== this.#rowLength) throw changed();
    return row.values;
  }
}

/** A file that was read once. */
export interface ScannedSeries {
  /** Its series' values, and how many each has. */
  readonly values: SeriesFile;
  readonly length: number;
  /** Its series' classes, and their lines. */
  readonly rows: readonly Omit<SeriesRow, "values">[];
  readonly form: SeriesForm;
}

/**
 * Reads a file of lines once.
 *
 * @param path The file, in any of the forms of `series_files.ts`.
 * @param pieceBytes Bytes that are read at once, where no line is longer.
 * @throws {SyntaxError} If a line is no series, or of another length than the first.
 */
export async function scanSeriesFile(path: string, pieceBytes: number): Promise<ScannedSeries> {
  const { sizeBytes } = await requireRegularFile(path);
  const fail = (found: string) => new SyntaxError(`Cannot read ${quote(path)}: ${found}`);
  const form = formOf(path, sizeBytes, pieceBytes, fail);
  const series = new SeriesRows(form, fail);
  const rows: KeptRow[] = [];
  for (let start = 0, firstLine = 1; start < sizeBytes;) {
    const piece = wholeLines(path, start, sizeBytes, pieceBytes);
    const starts = lineStarts(piece);
    const skipped = Math.min(Math.max(form.headerLines - firstLine + 1, 0), starts.length);
    const body = piece.subarray(starts[skipped] ?? piece.length);
    const text = decode(body, path, start + piece.length - body.length);
    for (const { line, label, values } of series.read(text, firstLine + skipped)) {
      const at = line - firstLine;
      const place = {
        start: start + (starts[at] ?? 0),
        end: start + (starts[at + 1] ?? piece.length),
      };
      rows.push({ line, label, ...place, ...momentsOf(values) });
    }
    start += piece.length;
    firstLine += starts.length;
  }
  const { length } = series;
  return { values: new SeriesFile(path, rows, length, form), length, rows, form };
}

/** The form, as the file's beginning says it: as much of it as that takes. */
function formOf(
  path: string,
  sizeBytes: number,
  pieceBytes: number,
  fail: (found: string) => Error,
): SeriesForm {
  for (let most = pieceBytes; most <= MAX_LINE_BYTES; most *= 2) {
    const beginning = wholeLines(path, 0, sizeBytes, most);
    const isWhole = beginning.length === sizeBytes;
    const form = seriesForm(decode(beginning, path, 0), isWhole, fail);
    if (form !== undefined) return form;
    if (isWhole) break;
  }
  throw fail(`its first ${MAX_LINE_BYTES} bytes hold no series, and do not say where they begin`);
}

function decode(bytes: Uint8Array, path: string, position: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalidByte(bytes, validPrefix(bytes), path, position, cause);
  }
}

/** The next lines of a file, at most about so many bytes; at least one line. */
function wholeLines(
  path: string,
  start: number,
  sizeBytes: number,
  wanted: number,
): Uint8Array<ArrayBuffer> {
  for (let most = wanted; most <= MAX_LINE_BYTES; most *= 2) {
    const bytes = readRange(path, start, Math.min(most, sizeBytes - start));
    if (start + bytes.length >= sizeBytes) return bytes;
    const end = lastLineEnd(bytes);
    if (end > 0) return bytes.subarray(0, end);
  }
  throw new SyntaxError(
    `Cannot read ${
      quote(path)
    }: from byte ${start} on, ${MAX_LINE_BYTES} bytes have no line's end, expected a series a line`,
  );
}

const LF = 10, CR = 13;

/** Where the last whole line ends; after a carriage return at the very end there may be a line feed. */
function lastLineEnd(bytes: Uint8Array): number {
  for (let at = bytes.length - 1; at >= 0; at--) {
    if (bytes[at] === LF || bytes[at] === CR && at + 1 < bytes.length) return at + 1;
  }
  return 0;
}

/** Where lines begin, in bytes; the last byte ends the last. */
function lineStarts(piece: Uint8Array): number[] {
  const starts = [0];
  for (let at = 0; at + 1 < piece.length; at++) {
    if (piece[at] === LF || piece[at] === CR && piece[at + 1] !== LF) starts.push(at + 1);
  }
  return starts;
}
