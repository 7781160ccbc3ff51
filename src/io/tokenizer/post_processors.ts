/** Parts that put tokens around those of a text. */

import { isRecord, type Settings } from "./settings.ts";

/** Adds ids to those of a text, which come some at a time, and may be gone through more than once. */
export type PostProcessor = (ids: Iterable<readonly number[]>) => Iterable<readonly number[]>;

/** Makes a post-processor of its settings. */
export function createPostProcessor(settings: Settings): PostProcessor {
  const type = settings.text("type");
  switch (type) {
    case "Sequence": {
      const parts = settings.parts("processors").map(createPostProcessor);
      return (ids) => parts.reduce((result, part) => part(result), ids);
    }
    case "ByteLevel":
      // It only says which characters a token stands for.
      return (ids) => ids;
    case "TemplateProcessing":
      return template(settings);
    case "BertProcessing":
    case "RobertaProcessing": {
      const begin = pairId(settings, "cls"), end = pairId(settings, "sep");
      return (ids) => chain([[[begin]], ids, [[end]]]);
    }
    default:
      throw settings.expected("type", "a post-processor that this version has");
  }
}

/** The id of a pair, token and id. */
function pairId(settings: Settings, name: string): number {
  const value = settings.value(name);
  const id: unknown = Array.isArray(value) ? value[1] : undefined;
  if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
  throw settings.expected(name, "a token and its id");
}

/** A list of special tokens and of the text itself, "A". */
function template(settings: Settings): PostProcessor {
  const special = settings.value("special_tokens");
  const items = settings.value("single");
  if (!Array.isArray(items)) throw settings.expected("single", "a list");
  const parts = items.map((item: unknown): readonly number[] | undefined => {
    const { SpecialToken: token, Sequence: sequence } = isRecord(item) ? item : {};
    if (isRecord(sequence) && sequence["id"] === "A") return undefined;
    const name = isRecord(token) ? token["id"] : undefined;
    const entry = isRecord(special) && typeof name === "string" ? special[name] : undefined;
    const ids = isRecord(entry) ? entry["ids"] : undefined;
    if (!Array.isArray(ids) || !ids.every((id) => Number.isSafeInteger(id) && id >= 0)) {
      throw settings.expected("single", "special tokens with ids, and the sequence A");
    }
    return ids;
  });
  return (ids) => chain(parts.map((part) => part === undefined ? ids : [part]));
}

function chain(parts: readonly Iterable<readonly number[]>[]): Iterable<readonly number[]> {
  return {
    *[Symbol.iterator]() {
      for (const part of parts) yield* part;
    },
  };
}
