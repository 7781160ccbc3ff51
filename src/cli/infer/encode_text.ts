/** Text of the command line as token ids. */

import type { Model } from "../../engine/model.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** Characters that a note names; the rest are counted. */
const NAMED = 5;

/**
 * Encodes a text, and notes on stderr which of its characters the tokenizer does not keep: a vocabulary of characters
 * has only those of the text that it was made of.
 *
 * @param what What error messages call the text.
 * @throws {TypeError} If the checkpoint has no tokenizer.
 */
export function encodeText(
  text: string,
  what: string,
  { tokenizer }: Pick<Model, "tokenizer">,
  terminal: Terminal,
): readonly number[] {
  if (tokenizer === undefined) {
    throw new TypeError(
      `Cannot encode the ${what}: this checkpoint has no tokenizer.json. Give token ids with --ids`,
    );
  }
  const ids = tokenizer.encode(text);
  const kept = new Set(tokenizer.decode(ids));
  // Tokenizers are free to normalize, and to do with spaces what they like.
  const lost = [...new Set(text.normalize("NFC").replaceAll(/\s/g, ""))]
    .filter((character) => !kept.has(character));
  if (lost.length > 0) {
    const named = lost.slice(0, NAMED).map((character) => JSON.stringify(character)).join(", ");
    const more = lost.length > NAMED ? ` and ${lost.length - NAMED} more` : "";
    terminal.writeError(`Note: the tokenizer does not keep ${named}${more} of the ${what}\n`);
  }
  return ids;
}
