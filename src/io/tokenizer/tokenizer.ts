/** Tokenizers in the `tokenizer.json` format, and decoding that follows a stream of ids. */

import { Tokenizer as TokenizerImplementation } from "npm:@huggingface/tokenizers@0.2.0";
import { withUnicodeSpaces } from "./byte_level_splits.ts";

/** Which tokens show in decoded text. */
export interface DecodeOptions {
  /**
   * Whether special tokens, such as `<|endoftext|>`, are left out.
   *
   * @default {false}
   */
  readonly skipSpecialTokens?: boolean;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** One more than the largest id. A model may have more rows: padding, never sampled. */
  readonly vocabSize: number;
  /**
   * Ids of a text; none for the empty text.
   *
   * What a vocabulary without an unknown token cannot express is left out, as the format's reference
   * implementation does. Byte-level vocabularies, such as GPT-NeoX's, express everything.
   */
  encode(text: string): number[];
  /**
   * Text of ids. Bytes that form no character become U+FFFD, ids that have no token become nothing.
   *
   * @throws {RangeError} If an id is not a whole number, zero or more.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Starts decoding a stream of ids: see `TokenStream`. */
  stream(options?: StreamOptions): TokenStream;
}

/** How a stream of ids is decoded. */
export interface StreamOptions extends DecodeOptions {
  /**
   * Whether the ids go on from other text, such as a prompt. Some decoders leave out the first space of a whole text,
   * which is none of this one's.
   *
   * @default {false}
   */
  readonly continues?: boolean;
}

/**
 * Decodes ids one by one, and never splits a character that is spread over several tokens.
 *
 * All pieces together are what `decode` makes of all ids; of a stream that continues, what they add to other text.
 */
export interface TokenStream {
  /** The text that this id completes: often a word, sometimes nothing yet. */
  push(id: number): string;
  /** The rest: an unfinished character, as U+FFFD. The stream then begins anew. */
  flush(): string;
}

/**
 * Reads a `tokenizer.json`.
 *
 * @param json The file's text.
 * @param name What error messages call it.
 * @throws {SyntaxError} If the text is not JSON.
 * @throws {TypeError} If the JSON does not describe a tokenizer, or one of an unknown kind.
 */
export function loadTokenizer(json: string, name: string): Tokenizer {
  const description = parseDescription(json, name);
  let implementation: TokenizerImplementation;
  let vocabulary: Map<string, number>;
  try {
    // The cleaning of spaces would merge " ." into "." after the fact: no way to stream it.
    implementation = new TokenizerImplementation(description, {
      clean_up_tokenization_spaces: false,
    });
    vocabulary = implementation.get_vocab(true);
    implementation.encode("a");
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot load the tokenizer "${name}": ${detail}`, { cause });
  }
  let vocabSize = 0;
  for (const id of vocabulary.values()) vocabSize = Math.max(vocabSize, id + 1);
  const special = new Set<number>();
  for (const [id, token] of implementation.get_added_tokens_decoder()) {
    if (token.special) special.add(id);
  }

  function encode(text: string): number[] {
    if (text === "") return [];
    // A token unknown to a vocabulary without an unknown token has no id, whatever the declared type says.
    return implementation.encode(text).ids.filter((id: number | undefined) => id !== undefined);
  }

  function hasText(id: number, options: DecodeOptions): boolean {
    if (!Number.isInteger(id) || id < 0) {
      throw new RangeError(`Cannot decode the id ${id}: expected a whole number, zero or more`);
    }
    if (options.skipSpecialTokens && special.has(id)) return false;
    return implementation.id_to_token(id) !== undefined;
  }

  const decodeKnown = (ids: number[]) => ids.length === 0 ? "" : implementation.decode(ids);
  /** Any text to go on from. */
  const textBefore = () => encode("a").filter((id) => !special.has(id)).slice(-1);

  return {
    vocabSize,
    encode,
    decode: (ids, options = {}) => decodeKnown(ids.filter((id) => hasText(id, options))),
    stream: (options = {}) =>
      createStream(
        (id) => hasText(id, options),
        decodeKnown,
        options.continues ? textBefore() : [],
      ),
  };
}

/** Ids that a stream keeps at most, and how many of them it goes on with. */
const WINDOW = 64, CONTEXT = 16;

/**
 * Streams over a decoder that only knows whole lists, in constant time and memory an id.
 *
 * The last ids are decoded together, and what was already given out is cut off. An unfinished character
 * shows as U+FFFD at the end of the text, up to three of them where a decoder replaces byte by byte: those
 * wait until a later id settles them. UTF-8 finds its place again at any first byte of a character, so
 * decoding a window that begins inside a character gives the same end.
 */
function createStream(
  hasText: (id: number) => boolean,
  decode: (ids: number[]) => string,
  before: readonly number[],
): TokenStream {
  let window = [...before];
  let given = decode(window).length;
  const settled = (text: string) => text.replace(/\ufffd{1,3}$/, "");
  return {
    push(id) {
      if (!hasText(id)) return "";
      window.push(id);
      const text = settled(decode(window));
      const piece = text.slice(given);
      given = Math.max(given, text.length);
      if (window.length >= WINDOW) {
        window = window.slice(-CONTEXT);
        given = settled(decode(window)).length;
      }
      return piece;
    },
    flush() {
      const piece = decode(window).slice(given);
      window = [...before];
      given = decode(window).length;
      return piece;
    },
  };
}

function parseDescription(json: string, name: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(`Cannot read the tokenizer "${name}": ${detail}`, { cause });
  }
  const fail = (detail: string) => new TypeError(`Cannot load the tokenizer "${name}": ${detail}`);
  if (!isRecord(value)) throw fail("it is not a JSON object");
  const model = value["model"];
  if (!isRecord(model)) throw fail("model is missing, expected an object");
  const type = model["type"] ?? (Array.isArray(model["merges"]) ? "BPE" : undefined);
  if (type !== "BPE" && type !== "Unigram" && type !== "WordPiece") {
    throw fail(`model.type is ${JSON.stringify(type)}, expected "BPE", "Unigram" or "WordPiece"`);
  }
  const { vocab, merges } = model;
  if (type === "Unigram") {
    if (!Array.isArray(vocab) || !vocab.every((entry) => isPair(entry, "string", "number"))) {
      throw fail("model.vocab is not a list of pairs, token and score");
    }
  } else {
    if (!isRecord(vocab)) throw fail("model.vocab is not an object of ids by token");
    for (const [token, id] of Object.entries(vocab)) checkId(id, token);
  }
  if (type === "BPE") {
    const isMerge = (merge: unknown) =>
      typeof merge === "string" ? merge.includes(" ", 1) : isPair(merge, "string", "string");
    if (!Array.isArray(merges) || !merges.every(isMerge)) {
      throw fail("model.merges is not a list of pairs of tokens");
    }
  }
  const added = value["added_tokens"] ?? [];
  if (!Array.isArray(added)) throw fail("added_tokens is not a list");
  for (const token of added) {
    if (!isRecord(token) || typeof token["content"] !== "string") {
      throw fail("an added token has no content");
    }
    checkId(token["id"], token["content"]);
  }
  function checkId(id: unknown, token: string) {
    // Ids address rows of a matrix on the GPU, whose sizes are 32-bit.
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= 2 ** 31) {
      throw fail(
        `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, expected a whole number ` +
          `from 0 to 2147483647`,
      );
    }
  }
  // The format allows absent parts; the library wants every key.
  return {
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...value,
    pre_tokenizer: withUnicodeSpaces(value["pre_tokenizer"] ?? null),
    model: { ...model, type },
    added_tokens: added,
  };
}

function isPair(value: unknown, first: string, second: string): boolean {
  return Array.isArray(value) && value.length === 2 &&
    typeof value[0] === first && typeof value[1] === second;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
