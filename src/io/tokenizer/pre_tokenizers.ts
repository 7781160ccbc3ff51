/** Parts that cut a text into the pieces which the model then makes tokens of, each for itself. */

import type { Settings } from "./settings.ts";
import { remembered } from "./remembered.ts";
import { mapSlices } from "./slices.ts";
import { BEHAVIORS, escaped, patternOf, split } from "./splits.ts";

/** Cuts a piece, bit by bit; `isFirst` says that the text begins with it. */
export type PreTokenizer = (text: string, isFirst: boolean) => Iterable<string>;

/** How GPT-2 splits text, with Unicode's own notion of white space: JavaScript's `\s` lacks U+0085 and has U+FEFF. */
const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const SPACE = /\p{White_Space}/gu;
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;
/** What Rust's expressions take for a word's characters. */
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const WORDS = new RegExp(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`, "gu");

/** The characters that stand for bytes: those of Latin-1 that show, and others from U+0100 on for the rest. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const shows = byte > 0x20 && byte < 0x7f || byte > 0xa0 && byte !== 0xad;
    return String.fromCharCode(shows ? byte : next++);
  });
}

const ENCODER = new TextEncoder();

/** A text's UTF-8, byte by byte. */
export function byteCharactersOf(text: string): string {
  return mapSlices(text, (slice) => {
    return Array.from(ENCODER.encode(slice), (byte) => BYTE_CHARACTERS[byte]).join("");
  });
}

/** Makes a pre-tokenizer of its settings. */
export function createPreTokenizer(settings: Settings): PreTokenizer {
  const type = settings.text("type");
  switch (type) {
    case "Sequence":
      return sequence(settings.parts("pretokenizers").map(createPreTokenizer));
    case "ByteLevel":
      return byteLevel(settings);
    case "Metaspace":
      return metaspace(settings);
    case "Split": {
      const pattern = patternOf(settings);
      const behavior = settings.word("behavior", BEHAVIORS);
      const invert = settings.flag("invert", false);
      return (text) => split(text, pattern, behavior, invert);
    }
    case "CharDelimiterSplit": {
      const pattern = new RegExp(escaped(settings.text("delimiter")), "gu");
      return (text) => split(text, pattern, "Removed");
    }
    case "Punctuation": {
      const behavior = settings.word("behavior", BEHAVIORS, "Isolated");
      return (text) => split(text, PUNCTUATION, behavior);
    }
    case "Digits": {
      const behavior = settings.flag("individual_digits") ? "Isolated" : "Contiguous";
      return (text) => split(text, /\p{N}/gu, behavior);
    }
    case "Whitespace":
      return (text) => split(text, WORDS, "Removed", true);
    case "WhitespaceSplit":
      return (text) => split(text, SPACE, "Removed");
    case "BertPreTokenizer":
      return sequence([
        (text) => split(text, SPACE, "Removed"),
        (word) => split(word, PUNCTUATION, "Isolated"),
      ]);
    case "FixedLength": {
      const pattern = new RegExp(`[^]{1,${Math.max(1, settings.count("length", 5))}}`, "gu");
      return (text) => split(text, pattern, "Isolated");
    }
    default:
      throw settings.expected("type", "a pre-tokenizer that this version has");
  }
}

function sequence(parts: readonly PreTokenizer[]): PreTokenizer {
  return (text, isFirst) =>
    parts.reduce<Iterable<string>>((pieces, part) => cutEach(pieces, part, text, isFirst), [text]);
}

function* cutEach(
  pieces: Iterable<string>,
  part: PreTokenizer,
  text: string,
  isFirst: boolean,
): Generator<string, void> {
  let begins = isFirst;
  for (const piece of pieces) {
    // Where a part before removed what the text began with, the first piece does not begin it.
    yield* part(piece, begins && text.startsWith(piece));
    begins = false;
  }
}

function byteLevel(settings: Settings): PreTokenizer {
  const addsSpace = settings.flag("add_prefix_space", true);
  const splits = settings.flag("use_regex", true);
  const charactersOf = remembered(byteCharactersOf);
  return function* (text) {
    const whole = addsSpace && !text.startsWith(" ") ? ` ${text}` : text;
    for (const piece of splits ? split(whole, GPT2, "Isolated") : [whole]) {
      yield charactersOf(piece);
    }
  };
}

/** What a Metaspace part says, whether it cuts or decodes. */
export function metaspaceOf(
  settings: Settings,
): { readonly replacement: string; readonly prepends: "first" | "never" | "always" } {
  const replacement = settings.text("replacement");
  if ([...replacement].length !== 1) throw settings.expected("replacement", "one character");
  const prepends = settings.word("prepend_scheme", ["first", "never", "always"], "always");
  // The older name of the same, which files keep beside it.
  if (!settings.flag("add_prefix_space", true) && prepends !== "never") {
    throw settings.expected("add_prefix_space", 'true, or prepend_scheme "never" beside it');
  }
  return { replacement, prepends };
}

function metaspace(settings: Settings): PreTokenizer {
  const { replacement, prepends } = metaspaceOf(settings);
  const splits = settings.flag("split", true);
  const pattern = new RegExp(escaped(replacement), "gu");
  return (text, isFirst) => {
    const replaced = text.replaceAll(" ", replacement);
    const isPrepended = prepends === "always" || prepends === "first" && isFirst;
    const whole = isPrepended && !replaced.startsWith(replacement)
      ? replacement + replaced
      : replaced;
    return splits ? split(whole, pattern, "MergedWithNext") : [whole];
  };
}
