/** Labelled series of numbers, in the text forms of the UCR and UEA archives. */

import { quote } from "../quote.ts";
import { readDataFile } from "./data_file.ts";
import type { Split } from "./image_dataset.ts";
import { type Fail, LINE_END } from "./number_rows.ts";
import { PIECE_BYTES, scanSeriesFile, type SeriesValues } from "./series_file.ts";
import { type SeriesForm, seriesForm } from "./series_files.ts";
import { SeriesRows } from "./series_rows.ts";
import { decodeText } from "./text.ts";

/** Labelled series of one length. */
export interface SeriesDataset<Values extends SeriesValues = SeriesValues> {
  /** What messages call it. */
  readonly name: string;
  /** Number of series. */
  readonly count: number;
  /** Values of each. */
  readonly length: number;
  /** Values, (count, length), row-major. */
  readonly values: Values;
  /** Class of each series, (count), as an index into `classNames`. */
  readonly labels: Uint32Array<ArrayBuffer>;
  /** Class names by label: as the file writes them, numbers in their shortest form. */
  readonly classNames: readonly string[];
}

/**
 * Reads a file of series: a line each, its class first, then its values; CSV whose first line has names, the class in the
 * column of that name (class, label, target or y), or in the last; or sktime's `.ts`, or Weka's `.arff`. Spaces, tabs,
 * commas and semicolons separate; empty lines are skipped.
 *
 * @param text The file's text.
 * @param name What error messages call it.
 * @param classNames The classes to expect, such as those of the training file; without them, the file's own, sorted.
 * @throws {SyntaxError} If a value is missing or no finite number, a line or column is no series, lines differ in length, there are no series, or a class is not
 * one of `classNames`: the line is named.
 */
export function parseSeries(
  text: string,
  name: string,
  classNames?: readonly string[],
): SeriesDataset<Float32Array<ArrayBuffer>> {
  const fail = (detail: string) => new SyntaxError(`Cannot read ${quote(name)}: ${detail}`);
  const form = seriesForm(text, true, fail) ?? { headerLines: 0, reader: () => () => [] };
  const rows = new SeriesRows(form, fail);
  const series = [...rows.read(linesAfter(text, form.headerLines), form.headerLines + 1)];
  const { length } = rows;
  const classes = classesOf(series, form, classNames, fail);
  const values = new Float32Array(series.length * length);
  series.forEach((row, i) => values.set(row.values, i * length));
  return { name, count: series.length, length, values, ...classes };
}

function linesAfter(text: string, lines: number): string {
  const ends = new RegExp(LINE_END, "g");
  for (let line = 0; line < lines; line++) if (!ends.test(text)) return "";
  return text.slice(ends.lastIndex);
}

/** Labels of series, and the names of their classes. */
function classesOf(
  rows: readonly { readonly line: number; readonly label: string }[],
  form: SeriesForm,
  classNames: readonly string[] | undefined,
  fail: Fail,
): Pick<SeriesDataset, "labels" | "classNames"> {
  if (rows.length === 0) throw fail("it holds no series, expected lines of a class and its values");
  const names = classNames ?? [...new Set(rows.map(({ label }) => label))].sort(byNumber);
  if (classNames === undefined) {
    refuseIndex(rows, fail);
    refuseGuess(rows.length, names.length, form, fail);
  }
  const indices = new Map(names.map((label, index) => [label, index]));
  const labels = Uint32Array.from(rows, ({ line, label }) => {
    const index = indices.get(label);
    if (index !== undefined) return index;
    throw fail(`line ${line} is of class ${quote(label)}, expected ${names.join(", ")}`);
  });
  return { labels, classNames: names };
}

/** How much of files is in memory. */
export interface SeriesLimits {
  /** A larger file is read by its lines: as one text, and its numbers, it would take several times as much memory. */
  readonly mostInMemory: number;
  /** Bytes that are then read at once. */
  readonly pieceBytes: number;
}

const LIMITS: SeriesLimits = { mostInMemory: 2 ** 26, pieceBytes: PIECE_BYTES };

/**
 * Reads a file of series of any length, in the forms of {@linkcode parseSeries}: its values are read when they are asked
 * for.
 *
 * @param path The file.
 * @param classNames As for `parseSeries`.
 * @param pieceBytes Bytes that are read at once.
 * @throws {SyntaxError} As `parseSeries`.
 */
export async function openSeries(
  path: string,
  classNames?: readonly string[],
  pieceBytes: number = PIECE_BYTES,
): Promise<SeriesDataset> {
  const fail = (detail: string) => new SyntaxError(`Cannot read ${quote(path)}: ${detail}`);
  const { values, rows, length, form } = await scanSeriesFile(path, pieceBytes);
  const classes = classesOf(rows, form, classNames, fail);
  return { name: path, count: rows.length, length, values, ...classes };
}

/** A file of series, in memory where it is small. */
async function readSeries(
  path: string,
  { mostInMemory, pieceBytes }: SeriesLimits,
  classNames?: readonly string[],
): Promise<SeriesDataset> {
  const sizeBytes = await Deno.stat(path).then(({ isFile, size }) => isFile ? size : 0, () => 0);
  if (sizeBytes > mostInMemory) return await openSeries(path, classNames, pieceBytes);
  return parseSeries(decodeText(await readDataFile(path, "series"), path), path, classNames);
}

/** Fewer series may well have their classes in order. */
const FEWEST_TO_COUNT = 4;

/** A first column that counts 0, 1, 2, ... is an index: as classes, there would be one for each series. */
function refuseIndex(rows: readonly { readonly label: string }[], fail: Fail): void {
  const first = Number(rows[0]?.label);
  const isIndex = rows.length >= FEWEST_TO_COUNT && (first === 0 || first === 1) &&
    rows.every(({ label }, i) => label === String(first + i));
  if (!isIndex) return;
  throw fail(
    `its first column counts the ${rows.length} lines (${first}, ${first + 1}, ${
      first + 2
    }, ...), and each line should ` +
      "begin with a class: take that column out",
  );
}

/** A last column with nearly as many values as there are series is of values itself. */
function refuseGuess(series: number, classes: number, form: SeriesForm, fail: Fail): void {
  if (form.isGuessed !== true || series < FEWEST_TO_COUNT || classes <= series / 2) return;
  throw fail(
    `its last column, taken for the class as none is named class, label, target or y, has ${classes} values in ` +
      `${series} series: name the column of the class so`,
  );
}

function byNumber(a: string, b: string): number {
  return Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Loads both parts of a data set in the forms of {@linkcode parseSeries}: two files, one with `TRAIN` in its name, one with
 * `TEST` in the same place (or `train` and `test`).
 *
 * @param path The training file, or a folder that holds one pair.
 * @param limits How much of the files is in memory.
 * @returns Both parts, of one length, with the classes of the training part.
 * @throws {SyntaxError} If a file is not such data, the two differ in length, or there are fewer than two classes.
 * @throws {RangeError} If the pair cannot be told from the path.
 */
export async function loadSeries(
  path: string,
  limits: SeriesLimits = LIMITS,
): Promise<Readonly<Record<Split, SeriesDataset>>> {
  const trainPath = await findTrainFile(path);
  const train = await readSeries(trainPath, limits);
  const testPath = trainPath.replace(
    /train(?=[^/\\]*$)/i,
    (word) => word === "train" ? "test" : word === "Train" ? "Test" : "TEST",
  );
  if (testPath === trainPath) {
    throw new RangeError(
      `Cannot load series from ${
        quote(path)
      }: its name has no TRAIN in it, so the file to test with ` +
        `cannot be found. Name the two files such as Data_TRAIN.txt and Data_TEST.txt`,
    );
  }
  if (train.classNames.length < 2) {
    throw new SyntaxError(
      `Cannot use ${quote(trainPath)}: all ${train.count} series are of class ` +
        `${quote(train.classNames[0] ?? "")}, expected two classes or more`,
    );
  }
  const test = await readSeries(testPath, limits, train.classNames);
  if (test.length !== train.length) {
    throw new SyntaxError(
      `Cannot use ${quote(testPath)}: its series have ${test.length} values, and those of ` +
        `${quote(trainPath)} have ${train.length}: they must be equal`,
    );
  }
  return { train, test };
}

async function findTrainFile(path: string): Promise<string> {
  // What is not there fails with more to say when it is read.
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info?.isDirectory) return path;
  const files = await Array.fromAsync(Deno.readDir(path));
  const found = files.filter(({ isFile, name }) => isFile && /train/i.test(name)).map(({ name }) =>
    name
  );
  const [name] = found;
  if (name === undefined || found.length > 1) {
    throw new RangeError(
      `Cannot load series from the folder ${
        quote(path)
      }: ${found.length} of its files have TRAIN in ` +
        `their names, expected one. Give the training file itself`,
    );
  }
  return `${path.replace(/\/$/, "")}/${name}`;
}
