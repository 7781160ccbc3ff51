/** Tokenizers in the `tokenizer.json` format, and decoding that follows a stream of ids. */

import { addedTokens, findTokens } from "./added_tokens.ts";
import { createDecoder } from "./decoders.ts";
import { createEncodeStream, type Cuts, type EncodeStream, endsAtWords } from "./encode_stream.ts";
import { parseDescription } from "./description.ts";
import { createModel } from "./models.ts";
import { createNormalizer } from "./normalizers.ts";
import { createPostProcessor } from "./post_processors.ts";
import { createPreTokenizer } from "./pre_tokenizers.ts";
import { Settings } from "./settings.ts";
import {
  createTokenStream,
  type DecodeOptions,
  type StreamOptions,
  type TokenStream,
} from "./token_stream.ts";

/** Text to token ids and back. */
export interface Tokenizer {
  /** One more than the largest id. A model may have more rows: padding, never sampled. */
  readonly vocabSize: number;
  /**
   * Ids of a text; none for the empty text.
   *
   * What a vocabulary without an unknown token cannot express is left out, as the format's reference
   * implementation does. Byte-level vocabularies, such as GPT-NeoX's, express everything.
   *
   * @throws {RangeError} If the text is longer than the tokenizer's own limit, or has a word that the vocabulary neither
   * has nor has an unknown token for.
   */
  encode(text: string): number[];
  /**
   * The same ids, some at a time: beside the text, and what a normalizer makes of all of it, there is never more in memory
   * than a piece of it.
   *
   * @throws {RangeError} As `encode` does, where that shows.
   */
  encodeInPieces(text: string): Iterable<readonly number[]>;
  /**
   * Starts encoding a text that comes bit by bit: see {@linkcode EncodeStream}. It may have no end, and the tokenizer's own
   * limit of length does not hold.
   */
  encodeStream(options?: Pick<StreamOptions, "continues">): EncodeStream;
  /**
   * Text of ids. Bytes that form no character become U+FFFD, ids that have no token become nothing.
   *
   * @throws {RangeError} If an id is not a whole number, zero or more.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Starts decoding a stream of ids: see `TokenStream`. */
  stream(options?: StreamOptions): TokenStream;
}

/**
 * Reads a `tokenizer.json`.
 *
 * @param json The file's text.
 * @param name What error messages call it.
 * @throws {SyntaxError} If the text is not JSON.
 * @throws {TypeError} If the JSON does not describe a tokenizer, or has a setting that this version has not: by its name.
 */
export function loadTokenizer(json: string, name: string): Tokenizer {
  const description = parseDescription(json, name);
  const fail = (detail: string) => new TypeError(`Cannot load the tokenizer "${name}": ${detail}`);
  const settings = new Settings(description.parts, "tokenizer", fail);
  const optional = <T>(part: string, create: (settings: Settings) => T): T | undefined =>
    settings.value(part) === undefined
      ? undefined
      : create(new Settings(settings.value(part), part, fail));
  const normalize = optional("normalizer", createNormalizer);
  const preTokenize = optional("pre_tokenizer", createPreTokenizer);
  const postProcess = optional("post_processor", createPostProcessor);
  const decoder = optional("decoder", createDecoder);
  const most = optional("truncation", (truncation) => truncation.count("max_length")) ?? Infinity;
  optional("padding", refusePadding);
  const model = createModel(new Settings(description.model, "model", fail), description.vocab);
  const added = addedTokens(
    description.added.map((token, i) => new Settings(token, `added_tokens[${i}]`, fail)),
    model.vocab,
  );
  const findRaw = findTokens(added.filter(({ normalized }) => !normalized));
  const findNormalized = findTokens(added.filter(({ normalized }) => normalized), normalize);
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const tokens = new Map([...model.vocab].map(([token, id]) => [id, token]));
  for (const { id, content, normalized } of added) {
    tokens.set(id, normalized ? normalize?.(content) ?? content : content);
  }
  const vocabSize = [...tokens.keys()].reduce((size, id) => Math.max(size, id + 1), 0);

  /** Whether the normalizer takes away white space that a text begins with: what follows is then not its beginning. */
  function losesBegin(text: string): boolean {
    const rest = text.replace(/^\p{White_Space}+/u, "");
    return normalize !== undefined && rest !== text && normalize(rest) === normalize(text);
  }

  /** Ids until they are given: it is empty whenever others may use it. */
  const some: number[] = [];

  /** Ids of the text itself, some at a time. */
  function* idsOf(text: string): Generator<readonly number[], void> {
    let isFirst = true;
    let count = 0;
    for (const raw of findRaw(text)) {
      const found = typeof raw === "number" ? [raw] : findNormalized(normalize?.(raw) ?? raw);
      isFirst &&= typeof raw === "number" || !losesBegin(raw);
      for (const part of found) {
        if (typeof part === "number") some[count++] = part;
        else {
          for (const piece of preTokenize?.(part, isFirst) ?? [part]) {
            const word = model.encodeWord(piece);
            // Not through their iterator, which would make an object for each.
            for (let i = 0; word !== undefined && i < word.length; i++) {
              some[count++] = word[i] ?? 0;
            }
            if (word !== undefined && count < SOME) continue;
            if (count > 0) yield some.slice(0, count);
            count = 0;
            if (word === undefined) yield* model.encode(piece);
          }
        }
        isFirst = false;
      }
    }
    if (count > 0) yield some.slice(0, count);
  }

  function* encodeInPieces(text: string): Generator<readonly number[], void> {
    if (text === "") return;
    const ids: Iterable<readonly number[]> = { [Symbol.iterator]: () => idsOf(text) };
    let count = 0;
    for (const piece of postProcess?.(ids) ?? ids) {
      count += piece.length;
      if (count > most) {
        throw new RangeError(
          `Cannot encode a text of more than ${most} tokens: truncation.max_length of "${name}" is ${most}, and what is ` +
            "beyond would be lost. Set truncation to null there",
        );
      }
      yield piece;
    }
  }

  function encode(text: string): number[] {
    const ids: number[] = [];
    for (const piece of encodeInPieces(text)) for (const id of piece) ids.push(id);
    return ids;
  }

  function hasText(id: number, options: DecodeOptions): boolean {
    if (!Number.isInteger(id) || id < 0) {
      throw new RangeError(`Cannot decode the id ${id}: expected a whole number, zero or more`);
    }
    return tokens.has(id) && !(options.skipSpecialTokens && special.has(id));
  }

  const decodeKnown = (ids: readonly number[] | Uint32Array): string => {
    // Not through the ids' iterator, which would make an object for each.
    const words = new Array<string>(ids.length).fill("");
    for (let i = 0; i < ids.length; i++) words[i] = tokens.get(ids[i] ?? -1) ?? "";
    return decoder === undefined ? words.join(" ") : decoder(words).join("");
  };
  /** What stands around the ids of a text. */
  function around() {
    const before: number[] = [], after: number[] = [];
    let isText = false;
    for (const ids of postProcess?.([[TEXT]]) ?? []) {
      if (ids[0] === TEXT) isText = true;
      else (isText ? after : before).push(...ids);
    }
    return { before, after };
  }

  /** Where a text can be cut as it comes. */
  function findCuts(): Cuts {
    const { type, merges, fuse_unk, end_of_word_suffix: suffix } = description.model;
    const hasMerges = !Array.isArray(merges) || merges.length > 0;
    const isByCharacter = !hasMerges && normalize === undefined && added.length === 0 &&
      fuse_unk !== true && (suffix ?? "") === "";
    if (isByCharacter) return "characters";
    // Pieces that go on after words must be the whole text, of whose beginning they then do not depend, and be composed.
    const pieces = [...preTokenize?.(WORDS, true) ?? [WORDS]];
    const isCut = pieces.length === 1 ? type === "BPE" || type === "Unigram" : endsAtWords(pieces);
    // What follows a token that was added begins anew, after one that ends as a word does, too.
    const addsWords = added.some(({ content }) => /[\p{L}\p{N}]$/u.test(content));
    if (!isCut || addsWords || !endsAtWords(tokens.values())) return "none";
    // Unknown characters become one, on both sides of what is unknown between words.
    if (type !== "Unigram" && fuse_unk !== true) return "words";
    return [" ", "▁", "Ġ"].some((space) => model.vocab.has(space)) ? "spaces" : "none";
  }
  let cuts: Cuts | undefined;

  /** Any text to go on from. */
  const textBefore = () => anyText(encode, special);

  return {
    vocabSize,
    encode,
    encodeInPieces,
    encodeStream({ continues = false } = {}) {
      cuts ??= findCuts();
      return createEncodeStream({ idsOf, around: around(), cuts }, continues);
    },
    decode: (ids, options = {}) => decodeKnown(ids.filter((id) => hasText(id, options))),
    stream: (options = {}) =>
      createTokenStream(
        (id) => hasText(id, options),
        decodeKnown,
        options.continues ? textBefore() : [],
      ),
  };
}

/** Ids that are given at a time, or more. */
const SOME = 1024;

/** Words that a pre-tokenizer may cut, or leave. */
const WORDS = "ab a ".repeat(200);

/** Stands for a text where it is asked what stands around one. */
const TEXT = -1;

/** One text by itself is padded only where its length is given. */
function refusePadding(padding: Settings): void {
  const strategy = padding.value("strategy") ?? "BatchLongest";
  if (strategy !== "BatchLongest") {
    throw padding.expected("strategy", '"BatchLongest", or padding to be null: nothing is padded');
  }
  if (padding.count("pad_to_multiple_of", 1) > 1) {
    throw padding.expected("pad_to_multiple_of", "null: nothing is padded");
  }
}

/** A token of text, if the vocabulary has one for a letter. */
function anyText(encode: (text: string) => number[], special: ReadonlySet<number>): number[] {
  try {
    return encode("a").filter((id) => !special.has(id)).slice(-1);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
