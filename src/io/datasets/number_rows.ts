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

/**
 * Cuts a text into rows. Spaces, tabs, commas and semicolons separate.
 *
 * Where semicolons or tabs separate and commas stand between digits, the commas are decimal: so do spreadsheets write
 * where people write 0,5. With spaces alone nobody can tell, and that is refused.
 *
 * @param text The text; empty lines are skipped.
 * @param fail Makes the error.
 * @param firstLine What the text's first line is counted as.
 */
export function readRows(text: string, fail: Fail, firstLine = 1): Row[] {
  let decimalLine: number | undefined, pointLine: number | undefined;
  const rows: Row[] = [];
  text.split(/\r\n|\r|\n/).forEach((content, index) => {
    const trimmed = content.trim();
    if (trimmed === "") return;
    const line = firstLine + index;
    const isTight = /\d,\d/.test(trimmed) && !/,\s|\s,|^,|,$|,,/.test(trimmed);
    const isDecimal = isTight && /[;\t]/.test(trimmed);
    if (isTight && !isDecimal && /\s/.test(trimmed)) {
      throw fail(
        `line ${line} has commas inside of words (${
          quoteStart(trimmed)
        }): write decimal points, or separate by ` +
          "semicolons or tabs",
      );
    }
    const cells = trimmed.split(isDecimal ? /\s*;\s*|\s+/ : /\s*[,;]\s*|\s+/);
    if (isDecimal) decimalLine ??= line;
    if (/\d\.\d/.test(trimmed)) pointLine ??= line;
    rows.push({ line, cells: isDecimal ? cells.map((cell) => cell.replace(",", ".")) : cells });
  });
  if (decimalLine !== undefined && pointLine !== undefined) {
    throw fail(
      `line ${decimalLine} has decimal commas, and line ${pointLine} decimal points: write one of both`,
    );
  }
  return rows;
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
