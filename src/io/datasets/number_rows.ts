/** Rows of numbers in a text: what separates them, and which character is the decimal point. */

/** One line of a text that is not empty. */
export interface Row {
  /** Counted from 1. */
  readonly line: number;
  /** What stands between separators, numbers with a decimal point. */
  readonly cells: readonly string[];
}

/** Makes the error from what was found. */
export type Fail = (found: string) => Error;

/** What ends a line. */
export const LINE_END = /\r\n|\r|\n/;

/** Cuts a text into rows: see {@linkcode RowReader}. */
export function readRows(text: string, fail: Fail): Row[] {
  return new RowReader(fail).read(text, 1);
}

/**
 * Cuts a text into rows, whole lines of it at a time. Spaces, tabs, commas and semicolons separate.
 *
 * Where semicolons or tabs separate and commas stand between digits, the commas are decimal: so do spreadsheets write
 * where people write 0,5. With spaces alone nobody can tell, and that is refused, as are both in one text.
 */
export class RowReader {
  readonly #fail: Fail;
  #decimalLine: number | undefined;
  #pointLine: number | undefined;

  /** `fail` makes the error. */
  constructor(fail: Fail) {
    this.#fail = fail;
  }

  /**
   * Reads the next lines.
   *
   * @param text The lines; empty ones are skipped.
   * @param firstLine What the first of them is counted as.
   */
  read(text: string, firstLine: number): Row[] {
    const rows: Row[] = [];
    text.split(LINE_END).forEach((content, index) => {
      const trimmed = content.trim();
      if (trimmed !== "") rows.push(this.#row(trimmed, firstLine + index));
    });
    if (this.#decimalLine !== undefined && this.#pointLine !== undefined) {
      throw this.#fail(
        `line ${this.#decimalLine} has decimal commas, and line ${this.#pointLine} decimal points: write one of both`,
      );
    }
    return rows;
  }

  #row(text: string, line: number): Row {
    const isTight = /\d,\d/.test(text) && !/,\s|\s,|^,|,$|,,/.test(text);
    const isDecimal = isTight && /[;\t]/.test(text);
    if (isTight && !isDecimal && /\s/.test(text)) {
      throw this.#fail(
        `line ${line} has commas inside of words (${
          quoteStart(text)
        }): write decimal points, or separate by ` +
          "semicolons or tabs",
      );
    }
    const cells = text.split(isDecimal ? /\s*;\s*|\s+/ : /\s*[,;]\s*|\s+/);
    if (isDecimal) this.#decimalLine ??= line;
    if (/\d\.\d/.test(text)) this.#pointLine ??= line;
    return { line, cells: isDecimal ? cells.map((cell) => cell.replace(",", ".")) : cells };
  }
}

/**
 * A number as files write it, rounded to f32: it ends at 3.4e38.
 *
 * @param cell What stands between two separators.
 * @returns The number, or undefined if it is none that is finite.
 */
export function toNumber(cell: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell)) return undefined;
  const value = Math.fround(Number(cell));
  return Number.isFinite(value) ? value : undefined;
}

/** Whether a cell says that its value is missing. */
export function isMissing(cell: string): boolean {
  return /^([+-]?nan|na|n\/a|null|none|\?|)$/i.test(cell);
}

/** A cell as messages show it. */
export function quoteStart(cell: string): string {
  return JSON.stringify(cell.length > 40 ? `${cell.slice(0, 40)}...` : cell);
}
