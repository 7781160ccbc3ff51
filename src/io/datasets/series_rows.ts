/** Series of a file, one after the other, each held to the first. */

import { type Fail, isMissing, quoteStart, toNumber } from "./number_rows.ts";
import type { LabelledRow, ReadLines, SeriesForm } from "./series_files.ts";

/** A series. */
export interface SeriesRow {
  /** Its line, counted from 1. */
  readonly line: number;
  /** Its class, numbers in their shortest form. */
  readonly label: string;
  /** Its values, rounded to f32. */
  readonly values: readonly number[];
}

/** Reads a file's lines, from the first after its header to the last. */
export class SeriesRows {
  readonly #read: ReadLines;
  readonly #fail: Fail;
  #first: { readonly line: number; readonly length: number } | undefined;

  /** `fail` makes the error. */
  constructor({ reader }: SeriesForm, fail: Fail) {
    this.#read = reader(fail);
    this.#fail = fail;
  }

  /** Values of each series; 0 before the first. */
  get length(): number {
    return this.#first?.length ?? 0;
  }

  /**
   * Reads the next lines.
   *
   * @param text Whole lines.
   * @param firstLine What the first of them is counted as.
   * @throws {Error} If a value is missing or no finite number, or a series is of another length than the first.
   */
  *read(text: string, firstLine: number): Generator<SeriesRow, void> {
    for (const row of this.#read(text, firstLine)) {
      if (this.#first === undefined) refuseHeader(row, this.#fail);
      const values = valuesOf(row, this.#fail);
      const { line } = row;
      this.#first ??= { line, length: values.length };
      const { length } = this.#first;
      if (length === 0 || values.length !== length) {
        throw this.#fail(
          `line ${line} has ${values.length} values after its class, expected ` +
            `${length === 0 ? "at least 1" : `${length} as in line ${this.#first.line}`}`,
        );
      }
      yield { line, label: canonical(row.label), values };
    }
  }
}

function valuesOf({ line, label, cells }: LabelledRow, fail: Fail): number[] {
  if (label === "") {
    throw fail(`line ${line} has no class: it begins with a separator, or ends without one`);
  }
  if (isMissing(label)) throw fail(`line ${line} is of no class: ${quoteStart(label)}`);
  refuseMissing(line, cells, fail);
  return cells.map((cell, i) => {
    const value = toNumber(cell);
    if (value !== undefined) return value;
    throw fail(`value ${i + 1} of line ${line} is ${quoteStart(cell)}, expected a finite number`);
  });
}

/** Names of columns are no series, though a class of that name may be meant. */
function refuseHeader({ line, label, cells }: LabelledRow, fail: Fail): void {
  if (cells.length === 0) return;
  const isHeader = cells.every((cell) => toNumber(cell) === undefined && !isMissing(cell));
  // Numbers as names: a table of pandas with its index, whose own column has none.
  const isCount = label === "" && cells.every((cell, i) => toNumber(cell) === i);
  if (!isHeader && !isCount) return;
  const names = [label, ...cells].slice(0, 3).map(quoteStart).join(", ");
  throw fail(
    `line ${line} has names of columns (${names}, ...): take it out, and any column that counts lines, so that each line ` +
      "is a class and its values; or give every column a name, separated by commas",
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
