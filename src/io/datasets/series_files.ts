/** The text forms that labelled series are in: UCR's lines, CSV with named columns, sktime's `.ts`, Weka's `.arff`. */

import { cellsOf, separatorOf } from "../streams/csv_rows.ts";
import { type Fail, isMissing, LINE_END, quoteStart, RowReader, toNumber } from "./number_rows.ts";

/** A series as its file has it. */
export interface LabelledRow {
  /** Counted from 1. */
  readonly line: number;
  readonly label: string;
  /** Values, as text. */
  readonly cells: readonly string[];
}

/** Reads whole lines of a file, as many as there are: what the first is counted as, and what they hold. */
export type ReadLines = (text: string, firstLine: number) => LabelledRow[];

/** How a file has its series. */
export interface SeriesForm {
  /** Lines before the first that may hold a series. */
  readonly headerLines: number;
  /** Makes what reads the lines after those, from first to last; any one of them can be read by itself, too. */
  readonly reader: (fail: Fail) => ReadLines;
  /** Whether the class's column is taken for that because it is the last. */
  readonly isGuessed?: boolean;
}

/**
 * Tells a file's form from its beginning.
 *
 * Lines of UCR's form begin with the class. `.ts` and `.arff` say what they hold in lines that begin with @, and have
 * the class last. A first line of names makes a CSV.
 *
 * @param beginning Whole lines.
 * @param isWhole Whether these are all.
 * @param fail Makes the error.
 * @returns `undefined` where more lines are needed to tell.
 * @throws {Error} If the file has several channels, times, or no classes.
 */
export function seriesForm(
  beginning: string,
  isWhole: boolean,
  fail: Fail,
): SeriesForm | undefined {
  const lines = beginning.split(LINE_END);
  const first = lines.findIndex((line) => line.trim() !== "");
  const named = lines.findIndex((line) => line.trim() !== "" && !/^\s*[#%]/.test(line));
  if (named < 0 && !isWhole) return undefined;
  if (!lines[named]?.trimStart().startsWith("@")) {
    return (first === named ? csvForm(lines[first] ?? "", first, fail) : undefined) ?? ucrForm();
  }
  const data = lines.findIndex((line) => /^[ \t]*@data[ \t]*$/i.test(line));
  if (data < 0 && !isWhole) return undefined;
  if (data < 0) throw fail("it has lines that begin with @, and none of them is @data");
  const header = lines.slice(0, data).join("\n");
  const isArff = /^\s*@relation\b/mi.test(header);
  if (isArff) refuseArff(header, fail);
  else refuseTs(header, fail);
  return { headerLines: data + 1, reader: isArff ? arffReader : tsReader };
}

function ucrForm(): SeriesForm {
  return {
    headerLines: 0,
    reader(fail) {
      const rows = new RowReader(fail);
      return (text, firstLine) =>
        rows.read(text, firstLine).map(({ line, cells: [label = "", ...cells] }) => (
          { line, label, cells }
        ));
    },
  };
}

/** What a class's column is called; where none is, it is the last. */
const CLASS_NAMES: readonly string[] = ["class", "label", "target", "y"];

/** The form of a file whose first line has names; a column without one counts the lines, as pandas writes it. */
function csvForm(header: string, at: number, fail: Fail): SeriesForm | undefined {
  const separator = separatorOf(header);
  if (!header.includes(separator)) return undefined;
  const names = cellsOf(header, separator, (found) => fail(`line ${at + 1}: ${found}`));
  const isName = (name: string) =>
    toNumber(name.replace(",", ".")) === undefined && !isMissing(name);
  const [first = "", ...others] = names;
  if (!others.every(isName) || first !== "" && !isName(first)) return undefined;
  const classes = names.filter((name) => CLASS_NAMES.includes(name.toLowerCase()));
  if (classes.length > 1) {
    throw fail(
      `line ${at + 1} names ${classes.length} columns as of classes do (${
        classes.map(quoteStart).join(", ")
      }), expected one`,
    );
  }
  const [name = names.at(-1) ?? ""] = classes;
  const place = names.lastIndexOf(name);
  const values = [...names.keys()].filter((i) => i !== place && !(i === 0 && first === ""));
  if (values.length === 0) throw fail(`line ${at + 1} names no column of values`);
  return {
    headerLines: at + 1,
    isGuessed: classes.length === 0,
    reader: (fail) => (text, firstLine) =>
      linesOf(text, firstLine, (line, row) => {
        const cells = cellsOf(row, separator, (found) => fail(`line ${line}: ${found}`));
        if (cells.length !== names.length) {
          throw fail(
            `line ${line} has ${cells.length} cells, and line ${at + 1} names ${names.length}`,
          );
        }
        const number = (cell = "") => separator === "," ? cell : cell.replace(",", ".");
        return { label: number(cells[place]), cells: values.map((i) => number(cells[i])) };
      }),
  };
}

function refuseTs(header: string, fail: Fail): void {
  const says = (name: string) =>
    new RegExp(`^\\s*@${name}\\s+(\\S+)`, "mi").exec(header)?.[1]?.toLowerCase();
  if (says("timestamps") === "true") {
    throw fail("its values have times (@timeStamps true), and only series without are read");
  }
  if (says("univariate") === "false" || Number(says("dimensions") ?? 1) > 1) {
    throw fail(
      "its series have several channels (@univariate false), and only those of one are read",
    );
  }
  if (says("targetlabel") === "true") {
    throw fail("it has numbers to be foretold (@targetLabel true), expected classes");
  }
  if (says("classlabel") === "false") throw fail("its series have no classes (@classLabel false)");
}

function refuseArff(header: string, fail: Fail): void {
  const attributes = header.split(LINE_END).filter((line) => /^\s*@attribute\b/i.test(line));
  const [last = ""] = attributes.slice(-1);
  if (/\brelational\b/i.test(header)) {
    throw fail(
      "its series have several channels (a relational attribute), and only those of one are read",
    );
  }
  if (!/\{[^}]*\}\s*$/.test(last)) {
    throw fail("its last attribute is no list of classes ({a, b}), so that its series have none");
  }
  const other = attributes.slice(0, -1).find((line) => !/\b(numeric|real|integer)\s*$/i.test(line));
  if (other !== undefined) {
    throw fail(`its attribute ${JSON.stringify(other.trim())} is not numeric`);
  }
}

/** Values, a colon, the class. */
function tsReader(fail: Fail): ReadLines {
  return (text, firstLine) =>
    linesOf(withoutNotes(text), firstLine, (line, content) => {
      const parts = content.split(":");
      const [values = "", label = ""] = parts;
      if (parts.length !== 2) {
        throw fail(
          `line ${line} has ${
            parts.length - 1
          } colons: expected one channel of values, a colon, and the class`,
        );
      }
      return { label: label.trim(), cells: values.split(",").map((cell) => cell.trim()) };
    });
}

function arffReader(fail: Fail): ReadLines {
  const rows = new RowReader(fail);
  return (text, firstLine) =>
    rows.read(withoutNotes(text), firstLine).map(({ line, cells }) => {
      if (cells[0]?.startsWith("{")) {
        throw fail(`line ${line} is of the sparse form, which is not read`);
      }
      const label = (cells[cells.length - 1] ?? "").replace(/^(['"])(.*)\1$/, "$2");
      return { line, label, cells: cells.slice(0, -1) };
    });
}

/** The same lines, with nothing in those that are notes. */
function withoutNotes(text: string): string {
  return text.replace(/^[ \t]*[#%].*$/gm, "");
}

/** What each line that is not empty holds. */
function linesOf(
  text: string,
  firstLine: number,
  read: (line: number, content: string) => Omit<LabelledRow, "line">,
): LabelledRow[] {
  return text.split(LINE_END).flatMap((content, index) => {
    const line = firstLine + index;
    return content.trim() === "" ? [] : [{ line, ...read(line, content) }];
  });
}
