/** Columns of a CSV that comes bit by bit, by their names. */

import { parse } from "npm:deno-std@1.4.0/csv/parse.js";
import { quoteStart, toNumber } from "../datasets/number_rows.ts";
import { quote } from "../quote.ts";
import { linesOf } from "./text_lines.ts";

/** Which columns. */
export interface ColumnsWanted {
  /** What error messages call the text. */
  readonly name: string;
  /** Their names, in the order in which a step has them; all, if they are as many as it takes. */
  readonly columns: readonly string[] | undefined;
  /** Numbers of a step. */
  readonly width: number;
}

/** What may separate cells. With semicolons or tabs, commas are decimal. */
const SEPARATORS = [",", ";", "\t"] as const;

/**
 * Reads rows as they come. The first line has the columns' names; cells may be quoted, within a line.
 *
 * @returns The numbers of each row.
 * @throws {SyntaxError} If a cell of these columns is no finite number, or a row has not as many cells as the first.
 * @throws {RangeError} If a column is missing, or there are more or fewer than a step takes.
 */
export async function* readCsv(
  text: AsyncIterable<string | undefined>,
  wanted: ColumnsWanted,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  const { name } = wanted;
  const fail = (found: string) => new SyntaxError(`Cannot read ${quote(name)}: ${found}`);
  let names: readonly string[] | undefined;
  let places: readonly number[] = [];
  let separator = ",";
  for await (const { line, text: row } of linesOf(text, name)) {
    if (row.trim() === "") continue;
    if (names === undefined) separator = separatorOf(row);
    const cells = cellsOf(row, separator, (found) => fail(`line ${line}: ${found}`));
    if (names === undefined) {
      names = cells;
      places = placesOf(cells, wanted);
      continue;
    }
    if (cells.length !== names.length) {
      throw fail(`line ${line} has ${cells.length} cells, and the first has ${names.length}`);
    }
    yield Float32Array.from(places, (place) => {
      const cell = cells[place] ?? "";
      const value = toNumber(separator === "," ? cell : cell.replace(",", "."));
      if (value !== undefined) return value;
      throw fail(
        `column ${quote(names?.[place] ?? "")} of line ${line} is ${
          quoteStart(cell)
        }, expected a finite number`,
      );
    });
  }
}

/** What separates the cells of a first line: what is there most often, outside of quotes. */
export function separatorOf(header: string): string {
  const bare = header.replace(/"[^"]*"/g, "");
  const count = (separator: string) => bare.split(separator).length;
  return SEPARATORS.reduce((best, other) => count(other) > count(best) ? other : best);
}

/** The cells of a row, without what quotes them. */
export function cellsOf(row: string, separator: string, fail: (found: string) => Error): string[] {
  if (!row.includes('"')) return row.split(separator).map((cell) => cell.trim());
  try {
    const rows: unknown = parse(row, { separator, trimLeadingSpace: true });
    const [cells] = Array.isArray(rows) ? rows : [];
    return Array.isArray(cells) ? cells.map((cell) => String(cell).trim()) : [];
  } catch {
    throw fail("its quotes do not end within the line");
  }
}

function placesOf(names: readonly string[], { name, columns, width }: ColumnsWanted): number[] {
  const listed = names.slice(0, 12).map((each) => JSON.stringify(each)).join(", ");
  const places = (columns ?? names).map((column) => names.indexOf(column));
  const missing = places.indexOf(-1);
  if (missing >= 0) {
    throw new RangeError(
      `Cannot use ${quote(name)}: it has no column ${
        quote(columns?.[missing] ?? "")
      }, its columns are ${listed}`,
    );
  }
  if (places.length !== width) {
    throw new RangeError(
      `Cannot use ${quote(name)}: ${places.length} columns (${
        columns === undefined ? listed : columns.join(", ")
      }), and each step of this model takes ${width}` +
        (columns === undefined ? ": name those to take with --columns" : ""),
    );
  }
  return places;
}
