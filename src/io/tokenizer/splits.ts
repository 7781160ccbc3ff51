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

/** Those that make one piece of two. */
type Merging = Exclude<Behavior, "Isolated" | "Removed">;

/** A piece, and whether it counts as matched. */
interface Found {
  readonly text: string;
  readonly matched: boolean;
}

/**
 * Cuts a text, piece by piece: a long one has millions of them.
 *
 * @param text The text.
 * @param pattern A global expression.
 * @param behavior What becomes of what it matches.
 * @param invert Whether what lies between its matches counts as matched.
 * @returns The pieces, none of them empty.
 */
export function split(
  text: string,
  pattern: RegExp,
  behavior: Behavior,
  invert = false,
): Iterable<string> {
  if (behavior === "Isolated" || behavior === "Removed") {
    return new Pieces(text, new Matches(text, pattern), {
      matches: behavior === "Isolated" || invert,
      others: behavior === "Isolated" || !invert,
    });
  }
  return notEmpty(joined(find(text, pattern, invert), behavior));
}

/** Pieces of a text: its matches, what is between them, or both. A generator would make an object for each. */
class Pieces implements Iterator<string, undefined> {
  readonly #text: string;
  readonly #matches: Matches;
  readonly #keeps: { readonly matches: boolean; readonly others: boolean };
  /** What is between the last match and this one is given up to here. */
  #done = 0;
  /** The match that is yet to be given. */
  #isInMatch = false;
  readonly #next = { done: false as const, value: "" };

  constructor(
    text: string,
    matches: Matches,
    keeps: { readonly matches: boolean; readonly others: boolean },
  ) {
    this.#text = text;
    this.#matches = matches;
    this.#keeps = keeps;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<string, undefined> {
    const matches = this.#matches, keeps = this.#keeps;
    for (;;) {
      if (this.#isInMatch) {
        this.#isInMatch = false;
        if (keeps.matches && matches.end > matches.begin) {
          return this.#give(matches.begin, matches.end);
        }
      }
      const begin = this.#done;
      if (matches.next()) {
        this.#isInMatch = true;
        this.#done = matches.end;
        if (keeps.others && matches.begin > begin) return this.#give(begin, matches.begin);
        continue;
      }
      this.#done = this.#text.length;
      if (keeps.others && begin < this.#text.length) return this.#give(begin, this.#text.length);
      return { done: true, value: undefined };
    }
  }

  #give(begin: number, end: number): IteratorResult<string, undefined> {
    this.#next.value = this.#text.slice(begin, end);
    return this.#next;
  }
}

function* notEmpty(pieces: Iterable<string>): Generator<string, void> {
  for (const piece of pieces) if (piece !== "") yield piece;
}

function* find(text: string, pattern: RegExp, invert: boolean): Generator<Found, void> {
  const matches = new Matches(text, pattern);
  let done = 0;
  for (; matches.next(); done = matches.end) {
    const { begin, end } = matches;
    if (begin > done) yield { text: text.slice(done, begin), matched: invert };
    yield { text: text.slice(begin, end), matched: !invert };
  }
  if (done < text.length) yield { text: text.slice(done), matched: invert };
}

/**
 * Goes through a pattern's matches as `matchAll` does, but makes nothing of one that begins where the last ended, as most
 * do: what a list of matches takes for each is more than all else that a token costs.
 */
class Matches {
  /** Where the match begins. */
  begin = 0;
  /** Where it ends. */
  end = 0;
  readonly #text: string;
  readonly #anywhere: RegExp;
  readonly #here: RegExp;
  /** Where the next one is looked for. */
  #from = 0;

  constructor(text: string, pattern: RegExp) {
    this.#text = text;
    [this.#anywhere, this.#here] = searchesOf(pattern);
  }

  /** Goes to the next match, if there is one. */
  next(): boolean {
    const text = this.#text, from = this.#from, here = this.#here, anywhere = this.#anywhere;
    if (from > text.length) return false;
    here.lastIndex = from;
    if (here.test(text)) {
      this.begin = from;
      this.end = here.lastIndex;
    } else {
      anywhere.lastIndex = from;
      const found = anywhere.exec(text);
      if (found === null) {
        this.#from = Infinity;
        return false;
      }
      this.begin = found.index;
      this.end = anywhere.lastIndex;
    }
    // One of no characters is not found again.
    const isWide = (text.codePointAt(this.end) ?? 0) > 0xffff;
    this.#from = this.end > this.begin ? this.end : this.end + (isWide ? 2 : 1);
    return true;
  }
}

const SEARCHES: WeakMap<RegExp, readonly [RegExp, RegExp]> = new WeakMap();

/** A pattern's searches, from a place on and at a place: each begins at a place that it is given, and may be shared. */
function searchesOf(pattern: RegExp): readonly [RegExp, RegExp] {
  let searches = SEARCHES.get(pattern);
  if (searches === undefined) {
    const flags = pattern.flags.replace(/[gy]/g, "");
    searches = [new RegExp(pattern, `${flags}g`), new RegExp(pattern, `${flags}y`)];
    SEARCHES.set(pattern, searches);
  }
  return searches;
}

function* joined(pieces: Iterable<Found>, behavior: Merging): Generator<string, void> {
  let last: Found | undefined;
  for (const piece of pieces) {
    if (last !== undefined && joins(last, piece, behavior)) {
      last = { text: last.text + piece.text, matched: piece.matched };
      continue;
    }
    if (last !== undefined) yield last.text;
    last = piece;
  }
  if (last !== undefined) yield last.text;
}

/** Whether two pieces beside each other are one. */
function joins(before: Found, after: Found, behavior: Merging): boolean {
  switch (behavior) {
    case "Contiguous":
      return before.matched === after.matched;
    case "MergedWithPrevious":
      return !before.matched && after.matched;
    case "MergedWithNext":
      return before.matched && !after.matched;
  }
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
