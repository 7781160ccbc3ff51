/** What makes tokens of a piece of text: a vocabulary, and how a piece is composed of it. */

import { BPE } from "npm:@huggingface/tokenizers@0.2.0";
import { cutParts } from "./joints.ts";
import { remembered } from "./remembered.ts";
import type { Settings } from "./settings.ts";

/** The kinds of models that there are. */
export const MODEL_TYPES = ["BPE", "Unigram", "WordPiece", "WordLevel"] as const;

/** A vocabulary that composes pieces. */
export interface Model {
  /** Ids by token, those of added tokens not among them. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Ids of one piece, in their order, where it is short enough to give them at once, as a word is. */
  encodeWord(piece: string): readonly number[] | undefined;
  /** Ids of any piece, some at a time: it may be a whole text. */
  encode(piece: string): Iterable<readonly number[]>;
}

/**
 * Makes a model of its settings, whose vocabulary was checked.
 *
 * @param settings Those of `model`.
 * @param vocab Ids by token.
 * @throws {TypeError} If a setting is one that this version has not.
 */
export function createModel(settings: Settings, vocab: ReadonlyMap<string, number>): Model {
  switch (settings.word("type", MODEL_TYPES)) {
    case "BPE":
      return bytePairs(settings, vocab);
    case "Unigram":
      return unigram(settings, vocab);
    case "WordPiece":
      return wordPiece(settings, vocab);
    case "WordLevel":
      return wordLevel(settings, vocab);
  }
}

function bytePairs(settings: Settings, vocab: ReadonlyMap<string, number>): Model {
  const dropout = settings.value("dropout") ?? 0;
  // It makes other tokens at each call: for training alone.
  if (dropout !== 0) throw settings.expected("dropout", "0 or null");
  if (settings.text("continuing_subword_prefix", "") !== "") {
    throw settings.expected("continuing_subword_prefix", "none: this version has no such merges");
  }
  const unknown = settings.text("unk_token", "");
  const hasUnknown = unknown !== "" && vocab.has(unknown);
  if (unknown !== "" && !hasUnknown) {
    throw settings.expected("unk_token", "a token of the vocabulary");
  }
  const suffix = settings.text("end_of_word_suffix", "");
  const fallsBack = settings.flag("byte_fallback", false);
  const ignoresMerges = settings.flag("ignore_merges", false);
  const merges = settings.value("merges");
  const implementation = new BPE({
    type: "BPE",
    vocab: Object.fromEntries(vocab),
    merges: Array.isArray(merges) ? merges : [],
    ...(hasUnknown ? { unk_token: unknown } : {}),
    ...(suffix === "" ? {} : { end_of_word_suffix: suffix }),
    fuse_unk: settings.flag("fuse_unk", false),
    byte_fallback: fallsBack,
    ignore_merges: ignoresMerges,
  });
  // What cannot be expressed is left out before pairs are merged, so that its neighbors may be a pair.
  const drops = !hasUnknown && suffix === "";
  const encoder = new TextEncoder();
  const isKnown = (character: string) =>
    vocab.has(character) ||
    fallsBack && encoder.encode(character).every((byte) => vocab.has(byteToken(byte)));
  const encodePart = (part: string): readonly number[] => {
    // A character by itself has no pair to be merged.
    const isWhole = ignoresMerges || part.length === 1 && suffix === "";
    const whole = isWhole ? vocab.get(part) : undefined;
    if (whole !== undefined) return [whole];
    const known = drops ? Array.from(part).filter(isKnown).join("") : part;
    return known === "" ? [] : idsOf(implementation([known]), vocab);
  };
  // The last part alone would have the suffix.
  if (suffix !== "") return whole(vocab, encodePart);
  const merged = (Array.isArray(merges) ? merges : []).map((merge: string | string[]) =>
    typeof merge === "string" ? merge.replace(" ", "") : merge.join("")
  );
  const cut = cutParts(() => [...vocab.keys(), ...merged], (character) => vocab.has(character));
  const encodeShort = remembered(encodePart);
  return {
    vocab,
    // Most pieces are words: there are millions of them, and a generator for each would take half of the time.
    encodeWord: (piece) => piece.length < 32 ? encodeShort(piece) : undefined,
    *encode(piece) {
      for (const part of cut(piece)) yield encodePart(part);
    },
  };
}

function idsOf(tokens: readonly string[], vocab: ReadonlyMap<string, number>): number[] {
  return tokens.map((token) => vocab.get(token)).filter((id) => id !== undefined);
}

/** A model that takes any piece for a word. */
function whole(
  vocab: ReadonlyMap<string, number>,
  encodeWord: (piece: string) => readonly number[],
): Model {
  return { vocab, encodeWord, encode: (piece) => [encodeWord(piece)] };
}

function wordLevel(settings: Settings, vocab: ReadonlyMap<string, number>): Model {
  const unknown = vocab.get(settings.text("unk_token", "<unk>"));
  return whole(vocab, (piece) => {
    const id = vocab.get(piece) ?? unknown;
    if (id !== undefined) return [id];
    throw new RangeError(
      `Cannot encode ${
        JSON.stringify(piece.slice(0, 60))
      }: the vocabulary of words has neither it nor an unknown token`,
    );
  });
}

/** The longest token that a word begins with, then the longest that goes on, and so on; or the unknown token for all of it. */
function wordPiece(settings: Settings, vocab: ReadonlyMap<string, number>): Model {
  const unknown = vocab.get(settings.text("unk_token", "[UNK]"));
  if (unknown === undefined) throw settings.expected("unk_token", "a token of the vocabulary");
  const prefix = settings.text("continuing_subword_prefix", "##");
  const most = settings.count("max_input_chars_per_word", 100);
  return whole(vocab, (piece) => {
    // A character has two code units at most; a whole text is not made a list of.
    if (piece.length > 2 * most) return [unknown];
    const characters = [...piece];
    if (characters.length > most) return [unknown];
    const ids: number[] = [];
    for (let begin = 0; begin < characters.length;) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > begin && id === undefined; end--) {
        const part = characters.slice(begin, end).join("");
        id = vocab.get(begin === 0 ? part : prefix + part);
      }
      if (id === undefined) return [unknown];
      ids.push(id);
      begin = end + 1;
    }
    return ids;
  });
}

/** What an unknown character costs beyond the least likely token. */
const UNKNOWN_PENALTY = 10;

/** The likeliest way to compose a piece of tokens, each with its logarithm of a probability. */
function unigram(settings: Settings, vocab: ReadonlyMap<string, number>): Model {
  const list = settings.value("vocab");
  const scores = (Array.isArray(list) ? list : []).map(([, score]): number => score);
  const unknown = settings.value("unk_id") === undefined ? undefined : settings.count("unk_id");
  if (unknown !== undefined && unknown >= scores.length) {
    throw settings.expected("unk_id", `the place of a token among ${scores.length}`);
  }
  const fallsBack = settings.flag("byte_fallback", false);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) -
    UNKNOWN_PENALTY;
  const longest = [...vocab.keys()].reduce((most, token) => Math.max(most, [...token].length), 0);
  const encoder = new TextEncoder();
  const idsOfPart = (part: string): number[] => {
    const id = vocab.get(part);
    if (id !== undefined) return [id];
    const bytes = fallsBack
      ? Array.from(encoder.encode(part), (byte) => vocab.get(byteToken(byte)))
      : [];
    const known = bytes.filter((byte) => byte !== undefined);
    if (known.length > 0 && known.length === bytes.length) return known;
    if (unknown !== undefined) return [unknown];
    throw new RangeError(
      `Cannot encode ${
        JSON.stringify(part.slice(0, 60))
      }: the vocabulary has neither it nor an unknown token`,
    );
  };
  /** The best way through a part, for which the one before has a score. */
  const bestParts = (part: string, before: number): { parts: string[]; score: number } => {
    const characters = [...part];
    const best: { score: number; begin: number; id: number | undefined }[] = [
      { score: before, begin: 0, id: undefined },
    ];
    const offer = (end: number, score: number, begin: number, id: number | undefined) => {
      const other = best[end];
      if (other === undefined || score > other.score) best[end] = { score, begin, id };
    };
    for (let begin = 0; begin < characters.length; begin++) {
      const score = best[begin]?.score ?? 0;
      let token = "", isKnown = false;
      for (let end = begin + 1; end <= Math.min(characters.length, begin + longest); end++) {
        token += characters[end - 1];
        const id = vocab.get(token);
        if (id === undefined) continue;
        isKnown ||= end === begin + 1;
        offer(end, score + (scores[id] ?? 0), begin, id);
      }
      if (!isKnown) offer(begin + 1, score + unknownScore, begin, unknown);
    }
    // Unknown characters beside each other are one.
    const parts: string[] = [];
    let afterUnknown = false;
    for (let end = characters.length; end > 0;) {
      const { begin, id } = best[end] ?? { begin: end - 1, id: unknown };
      const token = characters.slice(begin, end).join("");
      const isUnknown = id === unknown;
      if (isUnknown && afterUnknown) parts.push(token + (parts.pop() ?? ""));
      else parts.push(token);
      afterUnknown = isUnknown;
      end = begin;
    }
    return { parts: parts.reverse(), score: best.at(-1)?.score ?? before };
  };
  const cut = cutParts(() => vocab.keys(), (character) => vocab.has(character));
  return {
    vocab,
    encodeWord: () => undefined,
    *encode(piece) {
      // Sums go on from part to part: of two ways that are equally good, rounding decides as it does in the whole.
      let score = 0;
      for (const part of cut(piece)) {
        const best = bestParts(part, score);
        ({ score } = best);
        yield best.parts.flatMap(idsOfPart);
      }
    },
  };
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
