/** Labelled series of numbers, in the text form of the UCR archive: a line a series, its class first, then its values. */

import { quote } from "../quote.ts";
import { readDataFile } from "./data_file.ts";
import type { Split } from "./image_dataset.ts";
import { decodeText } from "./text.ts";

/** Labelled series of one length. */
export interface SeriesDataset {
  /** What messages call it. */
  readonly name: string;
  /** Number of series. */
  readonly count: number;
  /** Values of each. */
  readonly length: number;
  /** Values, (count, length), row-major. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Class of each series, (count), as an index into `classNames`. */
  readonly labels: Uint32Array<ArrayBuffer>;
  /** Class names by label: as the file writes them, numbers in their shortest form. */
  readonly classNames: readonly string[];
}

/**
 * Reads a file of series. Spaces, tabs, commas and semicolons separate; empty lines are skipped.
 *
 * @param text The file's text.
 * @param name What error messages call it.
 * @param classNames The classes to expect, such as those of the training file; without them, the file's own, sorted.
 * @throws {SyntaxError} If a value is no finite number, lines differ in length, there are no series, or a class is not
 * one of `classNames`: the line is named.
 */
export function parseSeries(
  text: string,
  name: string,
  classNames?: readonly string[],
): SeriesDataset {
  const fail = (detail: string) => new SyntaxError(`Cannot read ${quote(name)}: ${detail}`);
  const rows: { readonly line: number; readonly label: string; readonly values: number[] }[] = [];
  text.split(/\r\n|\r|\n/).forEach((content, index) => {
    const words = content.trim().split(/\s*[,;]\s*|\s+/);
    const [label = "", ...rest] = words;
    if (label === "" && rest.length === 0) return;
    const line = index + 1;
    if (label === "") throw fail(`line ${line} begins with a comma, expected a class`);
    if (/^(nan|\?)$/i.test(label)) throw fail(`line ${line} is of no class: ${quote(label)}`);
    const values = rest.map((word, i) => {
      // Values are kept in f32, which ends at 3.4e38.
      const value = word === "" ? NaN : Math.fround(Number(word));
      if (!Number.isFinite(value)) {
        const shown = word.length > 40 ? `${word.slice(0, 40)}...` : word;
        throw fail(`value ${i + 1} of line ${line} is ${quote(shown)}, expected a finite number`);
      }
      return value;
    });
    const expected = rows[0]?.values.length ?? values.length;
    if (values.length === 0 || values.length !== expected) {
      throw fail(
        `line ${line} has ${values.length} values after its class, expected ` +
          `${expected === 0 ? "at least 1" : `${expected} as in line ${rows[0]?.line ?? line}`}`,
      );
    }
    rows.push({ line, label: canonical(label), values });
  });
  if (rows.length === 0) throw fail("it holds no series, expected lines of a class and its values");
  const names = classNames ?? [...new Set(rows.map(({ label }) => label))].sort(byNumber);
  const indices = new Map(names.map((label, index) => [label, index]));
  const length = rows[0]?.values.length ?? 0;
  const dataset = {
    name,
    count: rows.length,
    length,
    values: new Float32Array(rows.length * length),
    labels: new Uint32Array(rows.length),
    classNames: names,
  };
  rows.forEach(({ line, label, values }, row) => {
    const index = indices.get(label);
    if (index === undefined) {
      throw fail(`line ${line} is of class ${quote(label)}, expected ${names.join(", ")}`);
    }
    dataset.labels[row] = index;
    dataset.values.set(values, row * length);
  });
  return dataset;
}

/** "1.0000000e+000" and "1" are one class. */
function canonical(label: string): string {
  const number = Number(label);
  return Number.isFinite(number) ? String(number) : label;
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
  const read = async (file: string) => decodeText(await readDataFile(file, "series"), file);
  const train = parseSeries(await read(trainPath), trainPath);
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
  const test = parseSeries(await read(testPath), testPath, train.classNames);
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
