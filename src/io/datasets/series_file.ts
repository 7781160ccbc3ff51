/** Files of series that are larger than memory: read once from end to end, then row by row. */

import { quote } from "../quote.ts";
import { readRange } from "../read_range.ts";
import { requireRegularFile } from "../regular_file.ts";
import { type Fail, readRows } from "./number_rows.ts";
import { decodeText } from "./text.ts";

/** Values of series, (count, length), wherever they are. */
export interface SeriesValues {
  /** All values. */
  readonly length: number;
  /** Those from `start` to below `end`. */
  subarray(start: number, end: number): Float32Array;
}

/** What is kept of each series of a file. */
interface KeptRow {
  /** Where its line is, in bytes. */
  readonly start: number;
  readonly end: number;
  /** Mean of its values, and the sum of their squared distances from it. */
  readonly mean: number;
  readonly squares: number;
}

/** The class and the values of a line, or the refusal of one. */
export type ParseRow = (
  line: number,
  cells: readonly string[],
  fail: Fail,
) => { readonly label: string; readonly values: readonly number[] };

/** Lines longer than this are no lines. */
const MAX_LINE_BYTES = 2 ** 24;
const PIECE_BYTES = 2 ** 20;

/** Series in a file: a line is read when it is asked for. */
export class SeriesFile implements SeriesValues {
  /** The file. */
  readonly path: string;
  readonly length: number;
  readonly #rows: readonly KeptRow[];
  readonly #rowLength: number;
  readonly #parse: ParseRow;

  /** Series of `rowLength` values each. */
  constructor(path: string, rows: readonly KeptRow[], rowLength: number, parse: ParseRow) {
    this.path = path;
    this.length = rows.length * rowLength;
    this.#rows = rows;
    this.#rowLength = rowLength;
    this.#parse = parse;
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
    return new SeriesFile(this.path, rows, this.#rowLength, this.#parse);
  }

  /** Mean and standard deviation of all values. */
  moments(): { readonly mean: number; readonly std: number } {
    const count = this.#rows.length, length = this.#rowLength;
    const mean = this.#rows.reduce((sum, row) => sum + row.mean, 0) / count;
    const squares = this.#rows.reduce(
      (sum, row) => sum + row.squares + length * (row.mean - mean) ** 2,
      0,
    );
    return { mean, std: Math.sqrt(squares / (count * length)) };
  }

  #read(index: number): readonly number[] {
    const { start = 0, end = 0 } = this.#rows[index] ?? {};
    const changed = () =>
      new RangeError(
        `Cannot read ${quote(this.path)}: it has changed since training began with it`,
      );
    const bytes = readRange(this.path, start, end - start);
    const [row] = bytes.length === end - start
      ? readRows(decodeText(bytes, this.path), changed)
      : [];
    if (row === undefined) throw changed();
    const { values } = this.#parse(1, row.cells, changed);
    if (values.length !== this.#rowLength) throw changed();
    return values;
  }
}

/**
 * Reads a file of lines once.
 *
 * @param path The file, in the form of the UCR archive.
 * @param parse What a line says.
 * @returns Its series, and the class of each.
 * @throws {SyntaxError} If a line is no series, or of another length than the first.
 */
export async function scanSeriesFile(
  path: string,
  parse: ParseRow,
): Promise<{ readonly values: SeriesFile; readonly labels: readonly string[]; length: number }> {
  const { sizeBytes } = await requireRegularFile(path);
  const rows: KeptRow[] = [], labels: string[] = [];
  let length = 0;
  for (let start = 0, firstLine = 1; start < sizeBytes;) {
    const piece = wholeLines(path, start, sizeBytes);
    const starts = lineStarts(piece);
    const fail = (found: string) => new SyntaxError(`Cannot read ${quote(path)}: ${found}`);
    for (const { line, cells } of readRows(decodeText(piece, path), fail, firstLine)) {
      const { label, values } = parse(line, cells, fail);
      if (rows.length === 0) length = values.length;
      if (values.length === 0 || values.length !== length) {
        throw fail(
          `line ${line} has ${values.length} values after its class, expected ${length || "some"}`,
        );
      }
      const at = line - firstLine;
      const mean = values.reduce((sum, value) => sum + value, 0) / length;
      rows.push({
        start: start + (starts[at] ?? 0),
        end: start + (starts[at + 1] ?? piece.length),
        mean,
        squares: values.reduce((sum, value) => sum + (value - mean) ** 2, 0),
      });
      labels.push(label);
    }
    start += piece.length;
    firstLine += starts.length;
  }
  return { values: new SeriesFile(path, rows, length, parse), labels, length };
}

/** The next lines of a file, about a piece of it; at least one. */
function wholeLines(path: string, start: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  for (let most = PIECE_BYTES; most <= MAX_LINE_BYTES; most *= 2) {
    const bytes = readRange(path, start, Math.min(most, sizeBytes - start));
    if (start + bytes.length >= sizeBytes) return bytes;
    const end = bytes.lastIndexOf(10) + 1;
    if (end > 0) return bytes.subarray(0, end);
  }
  throw new SyntaxError(
    `Cannot read ${
      quote(path)
    }: from byte ${start} on, ${MAX_LINE_BYTES} bytes have no line's end, expected a series a line`,
  );
}

/** Where lines begin, in bytes; the last byte ends the last. */
function lineStarts(piece: Uint8Array): number[] {
  const starts = [0];
  for (let at = piece.indexOf(10); at >= 0 && at + 1 < piece.length;) {
    starts.push(at + 1);
    at = piece.indexOf(10, at + 1);
  }
  return starts;
}
