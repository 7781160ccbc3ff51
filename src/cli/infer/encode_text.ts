/** Text of the command line as token ids. */

import type { Model } from "../../engine/model.ts";
import { collectIds } from "../../io/datasets/text.ts";
import type { Tokenizer } from "../../io/tokenizer/tokenizer.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** @throws {TypeError} If the checkpoint has no tokenizer. */
export function requireTokenizer(
  tokenizer: Tokenizer | undefined,
  what: string,
  config?: Model["config"],
): asserts tokenizer is Tokenizer {
  if (tokenizer !== undefined) return;
  throw new TypeError(
    `Cannot encode the ${what}: this checkpoint has no tokenizer.json. ${whereToFindOne(config)}`,
  );
}

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
  requireTokenizer(tokenizer, what, config);
  const ids = Uint32Array.from(collectIds(tokenizer.encodeInPieces(text), tokenizer.vocabSize));
  const lost = new LostCharacters(tokenizer);
  lost.add(text, ids);
  lost.note(what, terminal);
  return ids;
}

/** Characters of a text that its ids do not hold. */
export class LostCharacters {
  readonly #tokenizer: Tokenizer;
  readonly #lost = new Set<string>();
  /** Characters that some ids held: a vocabulary has them, or has not. */
  readonly #kept = new Set<string>();
  /** How many of them were named. */
  #noted = 0;

  /** None so far. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Looks at a text, or a part of one that is whole words, and its ids. */
  add(text: string, ids: Uint32Array | readonly number[]): void {
    // Tokenizers are free to normalize, and to do with spaces what they like.
    const composed = text.normalize("NFC");
    if (this.#knowsAll(composed)) return;
    // A character that is spread over tokens is whole in one of two slices: nothing is that long.
    for (let at = 0; at < ids.length; at += SLICE - OVERLAP) {
      for (const character of this.#tokenizer.decode([...ids.slice(at, at + SLICE)])) {
        this.#kept.add(character);
      }
    }
    for (const character of composed) {
      if (!this.#kept.has(character) && !/\s/u.test(character)) this.#lost.add(character);
    }
  }

  /** Whether a text has no character but those that are known to be kept, or lost: most of a stream has none. */
  #knowsAll(text: string): boolean {
    for (const character of text) {
      if (!this.#kept.has(character) && !this.#lost.has(character)) return false;
    }
    return true;
  }

  /** Says which they are, where there are some that it did not count before. Of many, the first ones are named. */
  note(what: string, terminal: Terminal): void {
    const count = this.#lost.size;
    if (count === this.#noted || this.#noted > NAMED) return;
    this.#noted = count;
    const named = [...this.#lost].slice(0, NAMED).map((character) => JSON.stringify(character));
    const more = count > NAMED ? ` and ${count - NAMED} more` : "";
    terminal.writeError(
      `Note: the tokenizer does not keep ${named.join(", ")}${more} of the ${what}\n`,
    );
  }
}

function whereToFindOne(config: Model["config"] | undefined): string {
  const given = "Give one with --tokenizer FILE, or token ids with --ids";
  // state-spaces/mamba3-*, of which no other model has as many tokens.
  return config?.model_type === "mamba3" && config.real_vocab_size === LLAMA_TOKENS
    ? `It is that of meta-llama/Llama-3.1-8B: ask for access on its page, and set HF_TOKEN to a token of yours. ${given}`
    : given;
}
