/** Text to train on: UTF-8 files, a vocabulary of their characters, and ids. A character is a Unicode code point. */

import { quote } from "../quote.ts";

/**
 * Reads UTF-8. A byte order mark at the start is dropped; all else stays as it is, line ends too.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @throws {SyntaxError} If it is empty, or not UTF-8: the first bad byte is named.
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (bytes.length === 0) {
    throw new SyntaxError(`Cannot read ${quote(name)}: it is empty, expected text`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalidByte(bytes, validPrefix(bytes), name, 0, cause);
  }
}

/** The error of bytes that are not UTF-8 from `offset` on; `position` is where they begin. */
export function invalidByte(
  bytes: Uint8Array,
  offset: number,
  name: string,
  position: number,
  cause?: unknown,
): SyntaxError {
  const byte = (bytes[offset] ?? 0).toString(16).padStart(2, "0");
  return new SyntaxError(
    `Cannot read ${quote(name)}: byte ${
      position + offset
    } is 0x${byte}, which is not UTF-8 there. Convert the file to UTF-8`,
    { cause },
  );
}

/** Length of the longest prefix that is whole characters of UTF-8, in bytes. */
export function validPrefix(bytes: Uint8Array): number {
  const isValid = (length: number, stream: boolean): boolean => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  // A stream may end inside a character: only so does every shorter prefix of a valid one count as valid.
  let valid = 0, invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isValid(middle, true)) valid = middle;
    else invalid = middle;
  }
  while (!isValid(valid, false)) valid--;
  return valid;
}

/** The characters of a text, each once, by code point: their places are their ids. */
export function charactersOf(text: string): string[] {
  const points = new Set<number>();
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) ?? 0;
    points.add(point);
    if (point > 0xffff) i++;
  }
  return [...points].sort((a, b) => a - b).map((point) => String.fromCodePoint(point));
}

/** Ids, each in as few bytes as the vocabulary allows: a text's ids then take no more memory than the text. */
export type TextIds =
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>;

/** Room for ids of a vocabulary. */
function idArray(vocabularySize: number, length: number): TextIds {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}

/**
 * Ids of a text by character.
 *
 * @param text Any text.
 * @param characters The vocabulary, as `charactersOf` gives it.
 * @throws {RangeError} If the text holds a character that the vocabulary lacks.
 */
export function encodeCharacters(text: string, characters: readonly string[]): TextIds {
  // By code point, and one more than the id: a map takes several times as long for a hundred million characters.
  const idOf = new Uint32Array(0x110000);
  for (const [id, character] of characters.entries()) idOf[character.codePointAt(0) ?? 0] = id + 1;
  const ids = idArray(characters.length, text.length);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) ?? 0;
    const found = idOf[point] ?? 0;
    if (found === 0) {
      throw new RangeError(
        `Cannot encode the text: the vocabulary of ${characters.length} characters lacks ` +
          `${JSON.stringify(String.fromCodePoint(point))}`,
      );
    }
    ids[count++] = found - 1;
    if (point > 0xffff) i++;
  }
  return count === ids.length ? ids : ids.slice(0, count);
}

/** Ids of a part of {@linkcode collectIds}. */
const PART = 2 ** 20;

/** Puts ids together that come some at a time. */
export function collectIds(
  pieces: Iterable<readonly number[]>,
  vocabularySize: number,
): TextIds {
  const parts: TextIds[] = [];
  let part = idArray(vocabularySize, PART);
  let count = 0;
  for (const piece of pieces) {
    for (const id of piece) {
      if (count === PART) {
        parts.push(part);
        part = idArray(vocabularySize, PART);
        count = 0;
      }
      part[count++] = id;
    }
  }
  const ids = idArray(vocabularySize, parts.length * PART + count);
  for (const [index, full] of parts.entries()) ids.set(full, index * PART);
  ids.set(part.subarray(0, count), parts.length * PART);
  return ids;
}

/**
 * A `tokenizer.json` whose tokens are characters: byte pair encoding without merges. Every implementation of the format
 * loads it; what the vocabulary lacks is left out when encoding.
 *
 * @param characters The vocabulary, as `charactersOf` gives it.
 * @returns The file's text.
 */
export function characterTokenizer(characters: readonly string[]): string {
  const description = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    // Without the split a whole text would be one word, and looking for merges in it slow.
    pre_tokenizer: {
      type: "Split",
      pattern: { Regex: "[\\s\\S]" },
      behavior: "Isolated",
      invert: false,
    },
    post_processor: null,
    // Without a decoder, tokens are joined by spaces.
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(characters.map((character, id) => [character, id])),
      merges: [],
    },
  };
  return `${JSON.stringify(description, null, 1)}\n`;
}

/** Of a text's characters, as many train; the rest validates. */
export const TRAINING_SHARE = 0.9;

/**
 * Splits a text as nanoGPT does: the first 90% of its characters, rounded down, to train on, the rest to validate with.
 *
 * @returns Both parts; together they are the text.
 */
export function splitText(text: string): { readonly train: string; readonly validation: string } {
  let characters = text.length;
  for (let i = 0; i < text.length; i++) if (isHighSurrogate(text, i)) characters--;
  let remaining = Math.floor(characters * TRAINING_SHARE);
  let end = 0;
  for (; remaining > 0; remaining--) end += isHighSurrogate(text, end) ? 2 : 1;
  return { train: text.slice(0, end), validation: text.slice(end) };
}

/** Whether the character at `index` takes two code units. */
function isHighSurrogate(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800;
}
