/** Parts that make text of tokens again. */

import { BYTE_CHARACTERS, metaspaceOf } from "./pre_tokenizers.ts";
import type { Settings } from "./settings.ts";
import { patternOf } from "./splits.ts";

/** Turns tokens into pieces of text. */
export type Decoder = (tokens: readonly string[]) => string[];

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** Makes a decoder of its settings. */
export function createDecoder(settings: Settings): Decoder {
  const type = settings.text("type");
  switch (type) {
    case "Sequence": {
      const parts = settings.parts("decoders").map(createDecoder);
      return (tokens) => parts.reduce<string[]>((result, part) => part(result), [...tokens]);
    }
    case "ByteLevel":
      return byteLevel();
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Metaspace":
      return metaspace(settings);
    case "WordPiece":
      return wordPiece(settings);
    case "BPEDecoder": {
      const suffix = settings.text("suffix", "</w>");
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
    }
    case "Replace": {
      const pattern = patternOf(settings), content = settings.text("content");
      return (tokens) => tokens.map((token) => token.replaceAll(pattern, () => content));
    }
    case "Strip":
      return strip(settings);
    default:
      throw settings.expected("type", "a decoder that this version has");
  }
}

/** Bytes that are put together in memory that is used again: as many as a stream decodes at once. */
const ROOM = 2 ** 12;

/** Of what is a token, its bytes are kept: the same ones come again and again. */
function byteLevel(): Decoder {
  const known = new Map<string, Uint8Array>();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const bytesOf = (token: string): Uint8Array => {
    let bytes = known.get(token);
    if (bytes === undefined) known.set(token, bytes = tokenBytes(token));
    return bytes;
  };
  const room = new Uint8Array(ROOM);
  return (tokens) => {
    let length = 0;
    for (const token of tokens) length += bytesOf(token).length;
    const all = length <= ROOM ? room.subarray(0, length) : new Uint8Array(length);
    let end = 0;
    for (const token of tokens) {
      const bytes = bytesOf(token);
      all.set(bytes, end);
      end += bytes.length;
    }
    return [decoder.decode(all)];
  };
}

/** A token with a character that stands for no byte, such as an added one with a space, is text as it is. */
function tokenBytes(token: string): Uint8Array {
  const found = Array.from(token, (character) => BYTES.get(character));
  const isBytes = found.every((byte) => byte !== undefined);
  return isBytes ? Uint8Array.from(found) : new TextEncoder().encode(token);
}

/** Tokens such as `<0x0A>` are bytes; where they make up no text, each of them becomes U+FFFD. */
function byteFallback(tokens: readonly string[]): string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    try {
      result.push(decoder.decode(Uint8Array.from(bytes)));
    } catch {
      result.push(..."\ufffd".repeat(bytes.length));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const [, hex] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? [];
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

function metaspace(settings: Settings): Decoder {
  const { replacement, prepends } = metaspaceOf(settings);
  return (tokens) =>
    tokens.map((token, i) =>
      token.replaceAll(replacement, i === 0 && prepends !== "never" ? "" : " ")
    );
}

/** What people write without a space before it. */
const CLEANED: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

function wordPiece(settings: Settings): Decoder {
  const prefix = settings.text("prefix", "##");
  const cleans = settings.flag("cleanup", true);
  return (tokens) =>
    tokens.map((token, i) => {
      const isPart = token.startsWith(prefix);
      const text = i === 0 ? token : isPart ? token.slice(prefix.length) : ` ${token}`;
      if (!cleans) return text;
      return CLEANED.reduce((result, [from, to]) => result.replaceAll(from, to), text);
    });
}

function strip(settings: Settings): Decoder {
  const content = settings.text("content"),
    start = settings.count("start"),
    stop = settings.count("stop");
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let begin = 0, end = characters.length;
      while (begin < start && characters[begin] === content) begin++;
      while (characters.length - end < stop && characters[end - 1] === content) end--;
      return characters.slice(begin, Math.max(begin, end)).join("");
    });
}
