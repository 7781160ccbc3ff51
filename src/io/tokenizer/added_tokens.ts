/** Tokens that are found in a text before anything else is done to it. */

import type { Normalizer } from "./normalizers.ts";
import type { Settings } from "./settings.ts";
import { escaped } from "./splits.ts";

/** A token, and where it may stand. */
export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Whether it stands for something else than text, such as the end of one. */
  readonly special: boolean;
  /** Whether it is looked for in the normalized text. */
  readonly normalized: boolean;
  /** Whether it is found as a word alone, not inside one. */
  readonly singleWord: boolean;
  /** Whether white space before it belongs to it. */
  readonly lstrip: boolean;
  /** The same of that after it. */
  readonly rstrip: boolean;
}

/**
 * Reads `added_tokens`.
 *
 * The reference implementation does not believe the ids there: a token of the vocabulary keeps its own, and others follow
 * the vocabulary in their order. Files that it wrote say the same.
 *
 * @param list The settings of each.
 * @param vocab The model's ids by token.
 */
export function addedTokens(
  list: readonly Settings[],
  vocab: ReadonlyMap<string, number>,
): AddedToken[] {
  const ids = new Map<string, number>();
  let next = vocab.size;
  return list.map((settings) => {
    const content = settings.text("content");
    const id = vocab.get(content) ?? ids.get(content) ?? next;
    ids.set(content, id);
    next = Math.max(next, id + 1);
    return addedToken(settings, content, id);
  });
}

function addedToken(settings: Settings, content: string, id: number): AddedToken {
  const special = settings.flag("special", false);
  return {
    content,
    id,
    special,
    normalized: settings.flag("normalized", !special),
    singleWord: settings.flag("single_word", false),
    lstrip: settings.flag("lstrip", false),
    rstrip: settings.flag("rstrip", false),
  };
}

/** A part of a text: the id of an added token, or text still to be encoded. */
export type Part = number | string;

/** Finds added tokens in a text. */
export type TokenFinder = (text: string) => Iterable<Part>;

const ENDS_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const BEGINS_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/**
 * Makes a finder.
 *
 * @param tokens What is looked for: of several that begin at one place the longest.
 * @param normalize What is done to them first, where the text was normalized.
 */
export function findTokens(
  tokens: readonly AddedToken[],
  normalize: Normalizer = (text) => text,
): TokenFinder {
  const byContent = new Map(tokens.map((token) => [normalize(token.content), token]));
  byContent.delete("");
  if (byContent.size === 0) return (text) => text === "" ? [] : [text];
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(contents.map(escaped).join("|"), "gu");
  return function* (text) {
    let done = 0;
    for (const { 0: found, index } of text.matchAll(pattern)) {
      const token = byContent.get(found);
      if (token === undefined) continue;
      let begin = index, end = index + found.length;
      // The window is as long as the longest character.
      const before = text.slice(Math.max(0, begin - 2), begin), after = text.slice(end, end + 2);
      if (token.singleWord && (ENDS_WORD.test(before) || BEGINS_WORD.test(after))) continue;
      if (token.lstrip) begin -= spaces(text.slice(done, begin), /\p{White_Space}*$/u);
      if (token.rstrip) end += spaces(text.slice(end), /^\p{White_Space}*/u);
      // White space that the token before took is not there any more.
      begin = Math.max(begin, done);
      if (begin > done) yield text.slice(done, begin);
      yield token.id;
      done = Math.max(end, done);
    }
    if (done < text.length) yield text.slice(done);
  };
}

function spaces(text: string, pattern: RegExp): number {
  return pattern.exec(text)?.[0].length ?? 0;
}
