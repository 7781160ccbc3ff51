/** Text of the command line as token ids. */

import type { Model } from "../../engine/model.ts";
import { collectIds } from "../../io/datasets/text.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** Ids that are decoded at once to see what they keep, and how many of them again with the next. */
const SLICE = 2 ** 16, OVERLAP = 16;

/** Tokens of Llama 3.1. */
const LLAMA_TOKENS = 128256;

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
  { tokenizer, config }: Pick<Model, "tokenizer"> & Partial<Pick<Model, "config">>,
  terminal: Terminal,
): Uint32Array<ArrayBuffer> {
  if (tokenizer === undefined) {
    throw new TypeError(
      `Cannot encode the ${what}: this checkpoint has no tokenizer.json. ${whereToFindOne(config)}`,
    );
  }
  const ids = Uint32Array.from(collectIds(tokenizer.encodeInPieces(text), tokenizer.vocabSize));
  const kept = new Set<string>();
  // A character that is spread over tokens is whole in one of two slices: nothing is that long.
  for (let at = 0; at < ids.length; at += SLICE - OVERLAP) {
    for (const character of tokenizer.decode([...ids.subarray(at, at + SLICE)])) {
      kept.add(character);
    }
  }
  // Tokenizers are free to normalize, and to do with spaces what they like.
  const lost = new Set<string>();
  for (const character of text.normalize("NFC")) {
    if (!kept.has(character) && !/\s/u.test(character)) lost.add(character);
  }
  if (lost.size > 0) {
    const named = [...lost].slice(0, NAMED).map((character) => JSON.stringify(character)).join(
      ", ",
    );
    const more = lost.size > NAMED ? ` and ${lost.size - NAMED} more` : "";
    terminal.writeError(`Note: the tokenizer does not keep ${named}${more} of the ${what}\n`);
  }
  return ids;
}

function whereToFindOne(config: Model["config"] | undefined): string {
  const given = "Give one with --tokenizer FILE, or token ids with --ids";
  // state-spaces/mamba3-*, of which no other model has as many tokens.
  return config?.model_type === "mamba3" && config.real_vocab_size === LLAMA_TOKENS
    ? `It is that of meta-llama/Llama-3.1-8B: ask for access on its page, and set HF_TOKEN to a token of yours. ${given}`
    : given;
}
