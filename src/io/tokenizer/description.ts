/** What a `tokenizer.json` holds, checked before anything is made of it. */

import { MODEL_TYPES } from "./models.ts";
import { isRecord } from "./settings.ts";

/** A tokenizer.json whose vocabulary is one. */
export interface Description {
  readonly parts: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>>;
  readonly vocab: ReadonlyMap<string, number>;
  readonly added: readonly unknown[];
}

/**
 * Parses a `tokenizer.json`, and checks its vocabulary, merges and added tokens.
 *
 * @throws {SyntaxError} If the text is not JSON.
 * @throws {TypeError} If it does not describe a tokenizer.
 */
export function parseDescription(json: string, name: string): Description {
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
  if (!MODEL_TYPES.some((known) => known === type)) {
    const known = MODEL_TYPES.map((known) => `"${known}"`).join(", ");
    throw fail(`model.type is ${JSON.stringify(type)}, expected one of ${known}`);
  }
  const { vocab, merges } = model;
  const ids = new Map<string, number>();
  if (type === "Unigram") {
    if (!Array.isArray(vocab) || !vocab.every((entry) => isPair(entry, "string", "number"))) {
      throw fail("model.vocab is not a list of pairs, token and score");
    }
    vocab.forEach(([token], id) => ids.set(token, id));
  } else {
    if (!isRecord(vocab)) throw fail("model.vocab is not an object of ids by token");
    for (const [token, id] of Object.entries(vocab)) ids.set(token, checkId(id, token));
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
  function checkId(id: unknown, token: string): number {
    // Ids address rows of a matrix on the GPU, whose sizes are 32-bit.
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= 2 ** 31) {
      throw fail(
        `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, expected a whole number ` +
          `from 0 to 2147483647`,
      );
    }
    return id;
  }
  return { parts: value, model: { ...model, type }, vocab: ids, added };
}

function isPair(value: unknown, first: string, second: string): boolean {
  return Array.isArray(value) && value.length === 2 &&
    typeof value[0] === first && typeof value[1] === second;
}
