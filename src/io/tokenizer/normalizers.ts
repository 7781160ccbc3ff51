/** Parts that change a text before it is cut. */

import { byteCharactersOf } from "./pre_tokenizers.ts";
import type { Settings } from "./settings.ts";
import { mapSlices } from "./slices.ts";
import { patternOf } from "./splits.ts";

/** Changes a text. */
export type Normalizer = (text: string) => string;

/** Characters between which BERT's normalizer puts spaces: what Unicode calls unified ideographs. */
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** Makes a normalizer of its settings. */
export function createNormalizer(settings: Settings): Normalizer {
  const type = settings.text("type");
  switch (type) {
    case "Sequence": {
      const parts = settings.parts("normalizers").map(createNormalizer);
      return (text) => parts.reduce((result, part) => part(result), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Lowercase":
      return lowercase;
    case "Strip":
      return strip(settings);
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Replace": {
      const pattern = patternOf(settings), content = settings.text("content");
      // A function would be called, and what it gave be kept, for each place of a long text.
      const replacement = content.replaceAll("$", "$$$$");
      return (text) => text.replaceAll(pattern, replacement);
    }
    case "Prepend": {
      const prefix = settings.text("prepend");
      return (text) => text === "" ? text : prefix + text;
    }
    case "ByteLevel":
      return byteCharactersOf;
    case "BertNormalizer":
      return bert(settings);
    default:
      // Among them Precompiled, a table of SentencePiece's that only approximations are known of in JavaScript.
      throw settings.expected("type", "a normalizer that this version has");
  }
}

/** Character by character: JavaScript's own has another sigma at the end of words. */
function lowercase(text: string): string {
  return mapSlices(
    text,
    (slice) => Array.from(slice, (character) => character.toLowerCase()).join(""),
  );
}

function strip(settings: Settings): Normalizer {
  const left = settings.flag("strip_left"), right = settings.flag("strip_right");
  return (text) => {
    const begun = left ? text.replace(/^\p{White_Space}+/u, "") : text;
    return right ? begun.replace(/\p{White_Space}+$/u, "") : begun;
  };
}

function bert(settings: Settings): Normalizer {
  const cleans = settings.flag("clean_text", true);
  const spaces = settings.flag("handle_chinese_chars", true);
  const lowers = settings.flag("lowercase", true);
  const strips = settings.flag("strip_accents", lowers);
  return (text) => {
    let result = text;
    if (cleans) {
      result = result.replace(/[\0\ufffd]|(?![\t\n\r])\p{C}/gu, "").replace(
        /\p{White_Space}/gu,
        " ",
      );
    }
    if (spaces) result = result.replace(IDEOGRAPH, " $& ");
    if (strips) result = result.normalize("NFD").replace(/\p{Mn}/gu, "");
    return lowers ? lowercase(result) : result;
  };
}
