/** What a config.json says of the model's two ends: input, head, vocabulary, stop tokens and class names. */

import type { HeadConfig, InputConfig, ModelConfig, Preprocessing } from "./config.ts";
import type { Dialect, Family } from "./family.ts";
import { describe, Fields, type Setting } from "./fields.ts";
import { MAX_D_MODEL, MAX_VOCAB_SIZE } from "./limits.ts";

/** Both ends of the model, and the vocabulary that they share where they have one. */
export function parseEnds(
  fields: Fields,
  { family, dialect }: Family,
  { tied, tableRows }: {
    readonly tied: Setting<boolean> | undefined;
    readonly tableRows: number | undefined;
  },
): Pick<ModelConfig, "input" | "head" | "real_vocab_size"> {
  const inputFields = fields.object("input");
  const inputKind = inputFields === undefined
    ? "embedding"
    : inputFields.word("kind", ["embedding", "linear"]) ??
      inputFields.expected("kind", '"embedding" or "linear"');
  const headFields = fields.object("head");
  const headKind = headFields === undefined
    ? "lm"
    : headFields.word("kind", ["lm", "classifier"]) ??
      headFields.expected("kind", '"lm" or "classifier"');

  const hasVocabulary = inputKind === "embedding" || headKind === "lm";
  const { vocab_size, real_vocab_size } = hasVocabulary
    ? parseVocabulary(fields, dialect, tableRows)
    : { vocab_size: 0, real_vocab_size: 0 };
  if (inputKind === "linear" && headKind === "lm" && tied?.value === true) {
    fields.fail(
      `${tied.path} is true, and input.kind is "linear": there is no embedding to tie to`,
    );
  }
  const tiedByDefault = inputKind === "embedding" && (dialect === "mamba_ssm" || family.tied);
  const input: InputConfig = inputFields !== undefined && inputKind === "linear"
    ? {
      kind: "linear",
      d_input: inputFields.requiredInteger("d_input", 1, MAX_D_MODEL),
      bias: inputFields.boolean("bias") ?? false,
    }
    : { kind: "embedding", vocab_size };
  const head: HeadConfig = headFields !== undefined && headKind === "classifier"
    ? {
      kind: "classifier",
      n_classes: headFields.requiredInteger("n_classes", 1, MAX_VOCAB_SIZE),
      pool: headFields.word("pool", ["last", "mean"]) ?? "last",
      bias: headFields.boolean("bias") ?? false,
    }
    : { kind: "lm", vocab_size, tied: tied?.value ?? tiedByDefault };
  return { input, head, real_vocab_size };
}

/** transformers states the rows of the table; the official package states the tokens and pads the table. */
function parseVocabulary(
  fields: Fields,
  dialect: Dialect,
  tableRows: number | undefined,
): { vocab_size: number; real_vocab_size: number } {
  const stated = fields.requiredInteger("vocab_size", 1, MAX_VOCAB_SIZE);
  const multiple = fields.integer("pad_vocab_size_multiple", 1, MAX_VOCAB_SIZE) ??
    (tableRows === stated ? 1 : 8);
  const padded = Math.ceil(stated / multiple) * multiple;
  const vocab_size = dialect === "transformers" ? stated : padded;
  const real_vocab_size = fields.integer("real_vocab_size", 1, MAX_VOCAB_SIZE) ?? stated;
  if (dialect !== "transformers" && real_vocab_size !== stated) {
    fields.fail(
      `real_vocab_size is ${real_vocab_size}, and vocab_size is ${stated}: ` +
        "both name the number of tokens",
    );
  }
  if (real_vocab_size > vocab_size) {
    fields.fail(
      `real_vocab_size is ${real_vocab_size}, and vocab_size is ${vocab_size}: ` +
        "there are more tokens than rows",
    );
  }
  return { vocab_size, real_vocab_size };
}

/** One id, several, or none (`null`). */
export function parseEndOfSequence(
  fields: Fields,
  { family, dialect }: Family,
  input: InputConfig,
  head: HeadConfig,
): readonly number[] {
  const isLanguageModel = input.kind === "embedding" && head.kind === "lm";
  const value = fields.value("eos_token_id");
  if (value === undefined) {
    // The official package stops at none; transformers has these for an absent id, and Codestral's tokenizer the same.
    return isLanguageModel && dialect !== "mamba_ssm" ? [family.eos_token_id] : [];
  }
  return endIds(fields, input, head);
}

/** The ids of `eos_token_id`, which is there, below the vocabulary's size. */
function endIds(fields: Fields, input: InputConfig, head: HeadConfig): readonly number[] {
  const value = fields.value("eos_token_id");
  if (value === null) return [];
  const vocab_size = head.kind === "lm"
    ? head.vocab_size
    : input.kind === "embedding"
    ? input.vocab_size
    : 0;
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
  const checked = ids.map((id) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0) {
      fields.fail(`eos_token_id is ${describe(id)}: expected token ids, or null`);
    }
    return id;
  });
  // Small models keep the id of their family's tokenizer: past the vocabulary it can end no text.
  return checked.filter((id) => id < vocab_size);
}

/**
 * A language model's config with the stop tokens of generation_config.json, which `transformers` generates by where there is
 * one; a file that names none leaves those of the config.
 *
 * @param config The model's.
 * @param json What `JSON.parse` gave.
 * @param fileName What error messages call the file.
 * @throws {ConfigError} If it is no object, or its `eos_token_id` is no id.
 */
export function withGenerationConfig(
  config: ModelConfig,
  json: unknown,
  fileName = "generation_config.json",
): ModelConfig {
  const fields = new Fields(json, fileName);
  if (config.head.kind !== "lm" || !fields.has("eos_token_id")) return config;
  return { ...config, eos_token_ids: endIds(fields, config.input, config.head) };
}

/** Class names by index: one for each class, or for each id that begins an image of pixels. */
export function parseLabels(
  fields: Fields,
  { head, real_vocab_size }: Pick<ModelConfig, "head" | "real_vocab_size">,
  preprocessing: Preprocessing["kind"] | undefined,
): readonly string[] | undefined {
  const labels = fields.strings("labels");
  if (labels === undefined) return undefined;
  if (head.kind !== "classifier" && preprocessing !== "pixels") {
    fields.fail(
      `labels has ${labels.length} names, and head.kind is "${head.kind}": only a classifier has classes`,
    );
  }
  const [what, count] = head.kind === "classifier"
    ? ["head.n_classes is", head.n_classes]
    : ["vocab_size - real_vocab_size is", head.vocab_size - real_vocab_size];
  if (labels.length !== count) {
    fields.fail(`labels has ${labels.length} names, and ${what} ${count}: they must be equal`);
  }
  return labels;
}
