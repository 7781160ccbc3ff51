/** Lines of a text that comes bit by bit. */

import { quote } from "../quote.ts";

/** Characters of a line at most: it is held until it ends. */
const LONGEST_LINE = 2 ** 20;

/** A line, counted from 1. */
export interface TextLine {
  readonly line: number;
  readonly text: string;
  /** Whether its end came: what is given of a line before that goes on. */
  readonly isWhole: boolean;
}

/**
 * Gives lines as they come, whichever way they end. The last one needs no end.
 *
 * @param early Length of what may be taken of a line before its end, where a space came; what is taken is not given again.
 * @throws {RangeError} If a line is longer than a million characters.
 */
export async function* linesOf(
  source: AsyncIterable<string | undefined>,
  name: string,
  early: (held: string) => number = () => 0,
): AsyncGenerator<TextLine, void> {
  let held = "", line = 1, endsInReturn = false;
  for await (const text of source) {
    if (text === undefined) continue;
    // A line that comes in many pieces is not looked through again at each.
    if (endsInReturn || /[\r\n]/.test(text)) {
      const lines = (held + text).split(/\r\n|\n|\r(?!$)/);
      held = lines.pop() ?? "";
      for (const whole of lines) yield { line: line++, text: whole, isWhole: true };
    } else {
      held += text;
    }
    endsInReturn = text.endsWith("\r");
    const taken = / /.test(text) ? early(held) : 0;
    if (taken > 0) yield { line, text: held.slice(0, taken), isWhole: false };
    if (taken > 0) held = held.slice(taken);
    if (held.length > LONGEST_LINE) {
      throw new RangeError(
        `Cannot read ${quote(name)}: line ${line} has more than ${LONGEST_LINE} characters`,
      );
    }
  }
  yield { line, text: held.replace(/\r$/, ""), isWhole: true };
}
