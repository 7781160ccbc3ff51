/** Numbers in a text that comes bit by bit: rows of them, a JSON array, or one array a line. */

import { type Fail, quoteStart, readRows, toNumber } from "../datasets/number_rows.ts";
import { quote } from "../quote.ts";
import { readCsv } from "./csv_rows.ts";
import { linesOf } from "./text_lines.ts";

/** What the rows are. */
export interface RowsWanted {
  /** What error messages call the text. */
  readonly name: string;
  /** Numbers of a step: a row holds whole steps. */
  readonly width: number;
}

/**
 * Reads numbers as they come: separated as {@linkcode readRows} has it, each line's when the line is there, and before that
 * those that a space ends.
 *
 * A text whose first line holds names is CSV.
 *
 * @throws {SyntaxError} If something else than a finite number is there.
 * @throws {RangeError} If a row does not hold whole steps.
 */
export async function* readNumberText(
  text: AsyncIterable<string | undefined>,
  { name, width }: RowsWanted,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  const fail: Fail = (found) => new SyntaxError(`Cannot read ${quote(name)}: ${found}`);
  const { isJson, rest } = await beginning(text);
  const source = isJson ? unbracketed(rest) : rest;
  // Where something else separates, a comma may be a decimal one, which the rest of the line tells.
  const early = (held: string) => /[,;\t]/.test(held) ? 0 : held.lastIndexOf(" ") + 1;
  const lines = linesOf(source, name, early);
  let entry = 0, inRow = 0;
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true) return;
    const { line, text, isWhole } = value;
    const [row] = readRows(text, (found) => fail(found.replace(/^line 1/, `line ${line}`)));
    const cells = row?.cells ?? [];
    const isHeader = entry === 0 && isWhole && cells.length > 0 &&
      cells.every((cell) => toNumber(cell) === undefined && /[\p{L}_]/u.test(cell));
    if (isHeader) {
      const csv = async function* () {
        yield `${text}\n`;
        for await (const { text, isWhole } of lines) yield isWhole ? `${text}\n` : text;
      };
      yield* readCsv(csv(), { name, columns: undefined, width });
      return;
    }
    const values = cells.map((cell) => {
      const number = toNumber(cell);
      if (number !== undefined) {
        entry++;
        return number;
      }
      throw fail(`entry ${entry} is ${quoteStart(cell)}, expected finite numbers`);
    });
    inRow += values.length;
    if (isWhole) {
      if (inRow % width !== 0) {
        throw new RangeError(
          `Cannot use ${
            quote(name)
          }: line ${line} holds ${inRow} numbers, and each step of this model takes ${width}: ` +
            "give a step a line, without indices",
        );
      }
      inRow = 0;
    }
    if (values.length > 0) yield Float32Array.from(values);
  }
}

/** Whether the text begins as a JSON array does; and the text, from its first character on that is no space. */
async function beginning(text: AsyncIterable<string | undefined>) {
  const iterator = text[Symbol.asyncIterator]();
  let first = "";
  for (;;) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    first = (value ?? "").replace(/^\s+/, "");
    if (first !== "") break;
  }
  const rest = async function* () {
    if (first !== "") yield first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { isJson: first.startsWith("["), rest: rest() };
}

/** Arrays as rows: an inner one's end is a line's. */
async function* unbracketed(
  text: AsyncIterable<string | undefined>,
): AsyncGenerator<string, void> {
  for await (const part of text) {
    yield (part ?? "").replace(/[\r\n,[]/g, " ").replace(/\]/g, "\n");
  }
}
