/** Cutting a text at a pattern, and what becomes of the pieces: as the format's reference implementation does it. */

import { SplitPreTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { isRecord, type Settings } from "./settings.ts";

/** What becomes of what the pattern matches. */
export type Behavior =
  | "Removed"
  | "Isolated"
  | "MergedWithPrevious"
  | "MergedWithNext"
  | "Contiguous";

/** All of them. */
export const BEHAVIORS: readonly Behavior[] = [
  ...["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const,
];

/**
 * Cuts a text.
 *
 * @param text The text.
 * @param pattern A global expression.
 * @param behavior What becomes of what it matches.
 * @param invert Whether what lies between its matches counts as matched.
 * @returns The pieces, none of them empty.
 */
export function split(text: string, pattern: RegExp, behavior: Behavior, invert = false): string[] {
  const pieces: { text: string; matched: boolean }[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (index > end) pieces.push({ text: text.slice(end, index), matched: invert });
    pieces.push({ text: found, matched: !invert });
    end = index + found.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), matched: invert });
  return joined(pieces, behavior).filter((piece) => piece !== "");
}

function joined(
  pieces: readonly { readonly text: string; readonly matched: boolean }[],
  behavior: Behavior,
): string[] {
  if (behavior === "Removed") {
    return pieces.filter(({ matched }) => !matched).map(({ text }) => text);
  }
  if (behavior === "Isolated") return pieces.map(({ text }) => text);
  const toNext = behavior === "MergedWithNext";
  const result: string[] = [];
  let before = false;
  for (const { text, matched } of toNext ? pieces.toReversed() : pieces) {
    const last = result.pop();
    const joins = behavior === "Contiguous" ? matched === before : matched && !before;
    if (last === undefined) result.push(text);
    else if (joins) result.push(toNext ? text + last : last + text);
    else result.push(last, text);
    before = matched;
  }
  return toNext ? result.reverse() : result;
}

/**
 * The pattern of a part, `{ "String": ... }` or `{ "Regex": ... }`, as a global expression.
 *
 * @throws {TypeError} If it is neither, or an expression that JavaScript has no equal of.
 */
export function patternOf(settings: Settings): RegExp {
  const pattern = settings.value("pattern");
  const { String: text, Regex: source } = isRecord(pattern) ? pattern : {};
  if (typeof text === "string") return new RegExp(escaped(text), "gu");
  if (typeof source !== "string") throw settings.expected("pattern", "a String or a Regex");
  try {
    // The library knows how the reference's expressions are written in JavaScript.
    const { pattern: translated } = new SplitPreTokenizer({
      type: "Split",
      pattern: { Regex: source },
      behavior: "Isolated",
      invert: true,
    });
    if (translated !== null) return translated;
  } catch {
    // Said below.
  }
  throw settings.expected("pattern", "an expression that JavaScript has, too");
}

/** A text as an expression that matches it. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
