/** Labelled series of numbers, in the text forms of the UCR and UEA archives. */

import { quote } from "../quote.ts";
import { readDataFile } from "./data_file.ts";
import type { Split } from "./image_dataset.ts";
import { type Fail, isMissing, quoteStart, toNumber } from "./number_rows.ts";
import { type LabelledRow, labelledRows } from "./series_files.ts";
import { scanSeriesFile, type SeriesValues } from "./series_file.ts";
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
 * Reads a file of series: a line each, its class first, then its values; or sktime's `.ts`, or Weka's `.arff`. Spaces,
 * tabs, commas and semicolons separate; empty lines are skipped.
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
  const found = labelledRows(text, fail);
  refuseHeader(found, fail);
  const rows = found.map(({ line, label, cells }) => {
    const row = parseRow(line, label, cells, fail);
    const expected = found[0]?.cells.length ?? row.values.length;
    if (row.values.length === 0 || row.values.length !== expected) {
      throw fail(
        `line ${line} has ${row.values.length} values after its class, expected ` +
          `${expected === 0 ? "at least 1" : `${expected} as in line ${found[0]?.line ?? line}`}`,
      );
    }
    return { line, ...row };
  });
  if (rows.length === 0) throw fail("it holds no series, expected lines of a class and its values");
  if (classNames === undefined) refuseIndex(rows, fail);
  const names = classNames ?? [...new Set(rows.map(({ label }) => label))].sort(byNumber);
  const indices = new Map(names.map((label, index) => [label, index]));
  const length = rows[0]?.values.length ?? 0;
  const values = new Float32Array(rows.length * length);
  const labels = new Uint32Array(rows.length);
  rows.forEach(({ line, label, values: own }, row) => {
    const index = indices.get(label);
    if (index === undefined) {
      throw fail(`line ${line} is of class ${quote(label)}, expected ${names.join(", ")}`);
    }
    labels[row] = index;
    values.set(own, row * length);
  });
  return { name, count: rows.length, length, values, labels, classNames: names };
}

/** What a series is of, and its values. */
function parseRow(
  line: number,
  label: string,
  cells: readonly string[],
  fail: Fail,
): { readonly label: string; readonly values: readonly number[] } {
  if (label === "") {
    throw fail(`line ${line} has no class: it begins with a separator, or ends without one`);
  }
  if (isMissing(label)) throw fail(`line ${line} is of no class: ${quote(label)}`);
  refuseMissing(line, cells, fail);
  const values = cells.map((cell, i) => {
    const value = toNumber(cell);
    if (value !== undefined) return value;
    throw fail(`value ${i + 1} of line ${line} is ${quoteStart(cell)}, expected a finite number`);
  });
  return { label: canonical(label), values };
}

/** A larger file is read by its lines: as one text, and its numbers, it would take several times as much memory. */
const MOST_IN_MEMORY = 2 ** 26;

/**
 * Reads a file of series, a line each, of any length: its values are read when they are asked for.
 *
 * @param path The file, in the form of the UCR archive.
 * @param classNames As for `parseSeries`.
 * @throws {SyntaxError} As `parseSeries`.
 */
export async function openSeries(
  path: string,
  classNames?: readonly string[],
): Promise<SeriesDataset> {
  const fail = (detail: string) => new SyntaxError(`Cannot read ${quote(path)}: ${detail}`);
  const { values, labels, length } = await scanSeriesFile(
    path,
    (line, [label = "", ...cells], failRow) => parseRow(line, label, cells, failRow),
  );
  if (labels.length === 0) {
    throw fail("it holds no series, expected lines of a class and its values");
  }
  if (classNames === undefined) refuseIndex(labels.map((label) => ({ label })), fail);
  const names = classNames ?? [...new Set(labels)].sort(byNumber);
  const indices = new Map(names.map((name, index) => [name, index]));
  const classes = Uint32Array.from(labels, (label) => {
    const index = indices.get(label);
    if (index !== undefined) return index;
    throw fail(`a series is of class ${quote(label)}, expected ${names.join(", ")}`);
  });
  return { name: path, count: labels.length, length, values, labels: classes, classNames: names };
}

/** A file of series, in memory where it is small. */
async function readSeries(path: string, classNames?: readonly string[]): Promise<SeriesDataset> {
  const sizeBytes = await Deno.stat(path).then(({ isFile, size }) => isFile ? size : 0, () => 0);
  if (sizeBytes > MOST_IN_MEMORY) return await openSeries(path, classNames);
  return parseSeries(decodeText(await readDataFile(path, "series"), path), path, classNames);
}

/** Names of columns are no series, though a class of that name may be meant. */
function refuseHeader([first]: readonly LabelledRow[], fail: Fail): void {
  if (first === undefined || first.cells.length === 0) return;
  const { line, label, cells } = first;
  const isHeader = cells.every((cell) => toNumber(cell) === undefined && !isMissing(cell));
  // Numbers as names: a table of pandas with its index, whose own column has none.
  const isCount = label === "" && cells.every((cell, i) => toNumber(cell) === i);
  if (!isHeader && !isCount) return;
  const names = [label, ...cells].slice(0, 3).map(quoteStart).join(", ");
  throw fail(
    `line ${line} has names of columns (${names}, ...): take it out, and any column that counts lines, so that each line ` +
      "is a class and its values",
  );
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

/** What a missing value means is not for a reader to choose. */
function refuseMissing(line: number, cells: readonly string[], fail: Fail): void {
  const at = cells.findIndex(isMissing);
  if (at < 0) return;
  const found = `value ${at + 1} of line ${line} is ${
    cells[at] === "" ? "missing" : quoteStart(cells[at] ?? "")
  }`;
  throw fail(
    cells.slice(at).every(isMissing) && at > 0
      ? `${found}, and so is what follows: the series is shorter than others, and all must have one length. Cut all to ` +
        "the shortest, or go on with the last value (the archive has corrected sets of its own)"
      : `${found}, expected a finite number: fill such gaps first, from the values beside them, say`,
  );
}

/** "1.0000000e+000" and "1" are one class. */
function canonical(label: string): string {
  const number = toNumber(label);
  return number === undefined ? label : String(Number(label));
}

function byNumber(a: string, b: string): number {
  return Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Loads both parts of a data set in the form of the UCR archive: two files, one with `TRAIN` in its name, one with
 * `TEST` in the same place (or `train` and `test`).
 *
 * @param path The training file, or a folder that holds one pair.
 * @returns Both parts, of one length, with the classes of the training part.
 * @throws {SyntaxError} If a file is not such data, the two differ in length, or there are fewer than two classes.
 * @throws {RangeError} If the pair cannot be told from the path.
 */
export async function loadSeries(path: string): Promise<Readonly<Record<Split, SeriesDataset>>> {
  const trainPath = await findTrainFile(path);
  const train = await readSeries(trainPath);
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
  const test = await readSeries(testPath, train.classNames);
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
