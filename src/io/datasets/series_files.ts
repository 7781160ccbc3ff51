/** The text forms that archives have labelled series in: UCR's lines, sktime's `.ts`, Weka's `.arff`. */

import { type Fail, readRows, type Row } from "./number_rows.ts";

/** A series as its file has it. */
export interface LabelledRow {
  /** Counted from 1. */
  readonly line: number;
  readonly label: string;
  /** Values, as text. */
  readonly cells: readonly string[];
}

/**
 * Cuts a file into series and their classes.
 *
 * Lines of UCR's form begin with the class. `.ts` and `.arff` say what they hold in lines that begin with @, and have
 * the class last.
 *
 * @param text The file's text.
 * @param fail Makes the error.
 * @throws {Error} If the file has several channels, times, or no classes.
 */
export function labelledRows(text: string, fail: Fail): LabelledRow[] {
  const [first = ""] = /^[ \t]*@.*$/m.exec(text) ?? [];
  const beforeFirst = text.slice(0, text.indexOf(first)).split(/\r\n|\r|\n/);
  const isDescribed = first !== "" &&
    beforeFirst.every((line) => line.trim() === "" || /^\s*[#%]/.test(line));
  if (!isDescribed) {
    return readRows(text, fail).map(({ line, cells: [label = "", ...cells] }) => ({
      line,
      label,
      cells,
    }));
  }
  const start = /^[ \t]*@data[ \t]*$/mi.exec(text);
  if (start === null) throw fail("it has lines that begin with @, and none of them is @data");
  const header = text.slice(0, start.index);
  const isArff = /^\s*@relation\b/mi.test(header);
  if (isArff) refuseArff(header, fail);
  else refuseTs(header, fail);
  // Lines keep their numbers.
  const body = text.slice(0, start.index).replace(/[^\r\n]/g, "") +
    text.slice(start.index + start[0].length).replace(/^[ \t]*[#%].*$/gm, "");
  return isArff ? arffRows(body, fail) : tsRows(body, fail);
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
  const attributes = header.split(/\r\n|\r|\n/).filter((line) => /^\s*@attribute\b/i.test(line));
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
function tsRows(body: string, fail: Fail): LabelledRow[] {
  return body.split(/\r\n|\r|\n/).flatMap((content, index) => {
    if (content.trim() === "") return [];
    const line = index + 1;
    const parts = content.split(":");
    const [values = "", label = ""] = parts;
    if (parts.length !== 2) {
      throw fail(
        `line ${line} has ${
          parts.length - 1
        } colons: expected one channel of values, a colon, and the class`,
      );
    }
    return [{ line, label: label.trim(), cells: values.split(",").map((cell) => cell.trim()) }];
  });
}

function arffRows(body: string, fail: Fail): LabelledRow[] {
  return readRows(body, fail).map(({ line, cells }: Row) => {
    if (cells[0]?.startsWith("{")) {
      throw fail(`line ${line} is of the sparse form, which is not read`);
    }
    const label = (cells[cells.length - 1] ?? "").replace(/^(['"])(.*)\1$/, "$2");
    return { line, label, cells: cells.slice(0, -1) };
  });
}
