/** Encoding of text that comes bit by bit: ids are given out as soon as nothing that follows can change them. */

/** Text, and its ids. */
export interface EncodedText {
  /** A part of what came. */
  readonly text: string;
  /** The part's ids. */
  readonly ids: readonly number[];
}

/**
 * Encodes text bit by bit, in constant memory. All parts together are the text, and their ids those of the whole text.
 */
export interface EncodeStream {
  /** Takes more text, and gives the part that is settled: no text to come changes its ids. */
  push(text: string): EncodedText;
  /**
   * Gives what is held back as if nothing followed, where it ends with a line: who writes slowly is not kept waiting for the
   * next word. What follows may then have other ids, such as those of two line ends for one that stands for both.
   */
  settle(): EncodedText;
  /** Gives the rest, and begins anew. */
  flush(): EncodedText;
}

/** What a stream needs of its tokenizer. */
export interface StreamedTokenizer {
  /** Ids of the text itself. */
  readonly idsOf: (text: string) => Iterable<readonly number[]>;
  /** Ids that stand around those of a text. */
  readonly around: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** Where a text can be cut. */
  readonly cuts: Cuts;
}

/** Where ids do not depend on what follows: after any character, after words, after those before a space, or nowhere. */
export type Cuts = "characters" | "words" | "spaces" | "none";

/** A word that ends before white space begins no token with it. */
const WORD_ENDS = { words: /[\p{L}\p{N}]\p{White_Space}/u, spaces: /[\p{L}\p{N}] /u };
/** The same in tokens, which have characters of their own for bytes and spaces. */
const SPANS_WORDS = /(?![ĠĊĉč▁])[\p{L}\p{N}](?:\p{White_Space}|[ĠĊĉč▁])/u;

/** Whether a vocabulary has no token that goes on after a word's end. */
export function endsAtWords(tokens: Iterable<string>): boolean {
  for (const token of tokens) if (SPANS_WORDS.test(token)) return false;
  return true;
}

/** Code units that are held back at most; a text that has so many without a place to cut is cut anywhere. */
const MOST_HELD = 2 ** 16;

/** What stands before a part that is no beginning: some tokenizers put a space before what they take for a whole text. */
const CONTEXT = "a";

/** Makes a stream; `continues` says that other text, and what stands before it, was fed before. */
export function createEncodeStream(
  { idsOf, around, cuts }: StreamedTokenizer,
  continues: boolean,
): EncodeStream {
  let held = "";
  let begins = !continues;
  const context = collect(idsOf, CONTEXT);
  // Nothing is put before a text, and characters do not touch each other: a part then has the ids that it has by itself.
  const twice = collect(idsOf, CONTEXT + CONTEXT);
  const isPlain = cuts === "characters" && String(twice) === String([...context, ...context]);

  /** Ids of a part that goes on from another. */
  function continuing(part: string): readonly number[] {
    if (isPlain) return collect(idsOf, part);
    const ids = collect(idsOf, CONTEXT + part);
    const isApart = context.every((id, i) => ids[i] === id);
    return isApart ? ids.slice(context.length) : collect(idsOf, part);
  }

  function give(length: number): EncodedText {
    const text = held.slice(0, length);
    held = held.slice(length);
    if (text === "") return { text, ids: [] };
    if (!begins) return { text, ids: continuing(text) };
    begins = false;
    const ids = collect(idsOf, text);
    return { text, ids: around.before.length === 0 ? ids : [...around.before, ...ids] };
  }

  return {
    push(text) {
      const from = Math.max(held.length - 1, 0);
      held += text;
      const cut = lastCut(held, from, cuts);
      return give(cut === 0 && held.length >= MOST_HELD ? held.length : cut);
    },
    settle: () => give(/[\r\n]$/.test(held) ? held.length : 0),
    flush() {
      const { text, ids } = give(held.length);
      const isEmpty = begins;
      begins = !continues;
      return { text, ids: isEmpty || around.after.length === 0 ? ids : [...ids, ...around.after] };
    },
  };
}

/** The last place where a text can be cut, from `from` on; 0 where there is none. */
function lastCut(text: string, from: number, cuts: Cuts): number {
  if (cuts === "characters") return text.length;
  if (cuts === "none") return 0;
  for (let at = text.length - 1; at > from; at--) {
    if (WORD_ENDS[cuts].test(text.slice(at - 1, at + 1))) return at;
  }
  return 0;
}

function collect(idsOf: StreamedTokenizer["idsOf"], text: string): readonly number[] {
  const parts = [...idsOf(text)];
  const [first = []] = parts;
  return parts.length <= 1 ? first : parts.flat();
}
