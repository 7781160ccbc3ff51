/** Byte-level tokenizers split text as the format's reference implementation does, down to what a space is. */

/**
 * How GPT-2 splits text, with Unicode's own notion of white space.
 *
 * JavaScript's `\s`, which the library's pattern has, lacks U+0085 (next line) and has U+FEFF (byte order mark).
 */
const GPT2_PATTERN = [
  "'s|'t|'re|'ve|'m|'ll|'d",
  " ?\\p{L}+",
  " ?\\p{N}+",
  " ?[^\\p{White_Space}\\p{L}\\p{N}]+",
  "\\p{White_Space}+(?!\\P{White_Space})",
  "\\p{White_Space}+",
].join("|");

/**
 * Replaces each `ByteLevel` step that splits by one that splits with Unicode's white space.
 *
 * @param preTokenizer The part of a tokenizer.json.
 * @returns The same, or what is equal but for the white space.
 */
export function withUnicodeSpaces(preTokenizer: unknown): unknown {
  if (!isRecord(preTokenizer)) return preTokenizer;
  const { type, pretokenizers } = preTokenizer;
  if (type === "Sequence" && Array.isArray(pretokenizers)) {
    return { ...preTokenizer, pretokenizers: pretokenizers.map(withUnicodeSpaces) };
  }
  // The prefix is one of the whole text: after the split it would be one of every part.
  const splits = preTokenizer["use_regex"] !== false && preTokenizer["add_prefix_space"] !== true;
  if (type !== "ByteLevel" || !splits) return preTokenizer;
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: GPT2_PATTERN }, behavior: "Isolated", invert: false },
      { ...preTokenizer, use_regex: false },
    ],
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
