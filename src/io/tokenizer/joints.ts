/** Where a long piece of text may be cut without another token coming of it. */

/** Code units of a part at least: more than any token has, so that no part is one by chance. */
const PART = 4096;

/** Cuts a piece into parts whose tokens, one part after another, are those of the piece. */
export type PartCutter = (piece: string) => Iterable<string>;

/**
 * Makes a cutter: between two characters that stand beside each other in no token, no token comes to lie.
 *
 * A text without a pre-tokenizer that cuts it, as Llama's, is one piece of any length.
 *
 * @param tokens All that may come of a text.
 * @param isKnown Whether a character is a token by itself: others may be joined where they are unknown, or left out.
 */
export function cutParts(
  tokens: () => Iterable<string>,
  isKnown: (character: string) => boolean,
): PartCutter {
  // Not before it is needed: most pieces are words.
  let found: { readonly pairs: ReadonlySet<string>; readonly longest: number } | undefined;
  return function* (piece) {
    if (piece.length <= 2 * PART) return yield piece;
    found ??= findPairs(tokens());
    const { pairs, longest } = found;
    const least = Math.max(PART, longest + 1);
    let begin = 0;
    for (let at = least; at <= piece.length - least; at++) {
      const before = characterBefore(piece, at), after = characterAt(piece, at);
      if (before === "" || pairs.has(before + after) || !isKnown(before) || !isKnown(after)) {
        continue;
      }
      yield piece.slice(begin, at);
      begin = at;
      at += least - 1;
    }
    yield piece.slice(begin);
  };
}

/** All pairs of characters in tokens, and the length of the longest. */
function findPairs(tokens: Iterable<string>) {
  const pairs = new Set<string>();
  let longest = 0;
  for (const token of tokens) {
    longest = Math.max(longest, token.length);
    let before = "";
    for (const character of token) {
      if (before !== "") pairs.add(before + character);
      before = character;
    }
  }
  return { pairs, longest };
}

function characterAt(text: string, at: number): string {
  return String.fromCodePoint(text.codePointAt(at) ?? 0);
}

/** The character that ends there; none inside of one. */
function characterBefore(text: string, at: number): string {
  const isInside = (text.charCodeAt(at) & 0xfc00) === 0xdc00 &&
    (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
  if (isInside) return "";
  const isLow = (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00;
  return isLow && at > 1 ? characterAt(text, at - 2) : text.slice(at - 1, at);
}
