/** Which model a config.json is of, by what it calls itself or, where it does not say, by what it holds. */

import type { Mixer } from "../mixers/mixer.ts";
import { families, type FamilyOfMixer, mixers } from "../mixers/mixers.ts";
import { describe, type Fields } from "./fields.ts";
import { MAX_D_MODEL, MAX_EXPAND } from "./limits.ts";

/**
 * Whose rules fill in what is absent: the official `mamba_ssm` package, which pads the vocabulary and stops at no
 * token; `transformers`, which states the padded table and stops at a token by default; or Mistral's params.json of
 * Codestral Mamba, which names a few sizes and leaves the others to `mamba_ssm`.
 */
export type Dialect = "mamba_ssm" | "transformers" | "mistral";

/** The model and the dialect of a config.json. */
export interface Family extends FamilyOfMixer {
  readonly dialect: Dialect;
}

/** What the official package makes where `ssm_cfg.layer` does not say. */
const OFFICIAL_LAYER = "Mamba1";

/** Models that mix these blocks with attention: people may well try them. */
const HYBRIDS: readonly string[] = [
  ...["bamba", "falcon_h1", "granitemoehybrid", "jamba", "nemotron_h", "zamba", "zamba2"],
];

/**
 * Tells the model and the dialect.
 *
 * @throws {ConfigError} If it is a model that is not supported, by its name, or says two things about what it is.
 */
export function parseFamily(fields: Fields, ssm_cfg: Fields | undefined): Family {
  const dialect = fields.has("hidden_size")
    ? "transformers"
    : fields.has("dim") && !fields.has("d_model")
    ? "mistral"
    : "mamba_ssm";
  const layer = parseLayer(fields, ssm_cfg);
  const found = dialect === "mistral" ? parseMistral(fields) : parseName(fields, layer);
  const { family, mixer } = found;
  if (layer !== undefined && layer !== mixer.layer) {
    fields.fail(
      `model_type is "${family.model_type}", and ssm_cfg.layer is "${layer}": both name the same setting`,
    );
  }
  refuseUnknownSettings(fields, ssm_cfg, mixer);
  refuseVariants(fields, mixer);
  return { ...found, dialect };
}

/** The family of Mistral's params.json. */
function parseMistral(fields: Fields): FamilyOfMixer {
  if (fields.has("n_heads")) {
    fields.fail(
      `n_heads is ${describe(fields.value("n_heads"))} (a model of attention), ` +
        "which this version does not support, expected Codestral Mamba",
    );
  }
  const found = families().find(({ family }) => family.mistralNames !== undefined) ??
    fields.expected("d_model", "a model of mamba_ssm or transformers");
  fields.word("model_type", found.family.mistralNames ?? []);
  return found;
}

/** What `ssm_cfg` says of the layers, if it does. */
function parseLayer(fields: Fields, ssm_cfg: Fields | undefined): string | undefined {
  const layer = ssm_cfg?.value("layer");
  const known = mixers().flatMap((mixer) => mixer.layer ?? []);
  if (layer === undefined) return undefined;
  if (typeof layer === "string" && known.includes(layer)) return layer;
  return fields.fail(`ssm_cfg.layer is ${describe(layer)}, expected ${anyOf(known)}`);
}

/** What the file calls the model; where it does not, its class or fields that only one model has. */
function parseName(fields: Fields, layer: string | undefined): FamilyOfMixer {
  const all = families();
  const expected = anyOf(all.map(({ family }) => family.model_type));
  const model_type = fields.value("model_type");
  if (model_type !== undefined) {
    const known = all.find(({ family }) => family.model_type === model_type);
    if (known !== undefined) return known;
    const isHybrid = typeof model_type === "string" && HYBRIDS.includes(model_type);
    const verdict = isHybrid
      ? " (a hybrid with attention layers), which this version does not support"
      : "";
    fields.fail(`model_type is ${describe(model_type)}${verdict}, expected ${expected}`);
  }
  const architectures = fields.strings("architectures") ?? [];
  for (const name of architectures) {
    const known = all.find(({ family }) => family.classes.test(name));
    if (known !== undefined) return known;
  }
  if (architectures.length > 0) {
    fields.fail(
      `architectures has ${describe(architectures[0])}, which this version does not support, ` +
        `expected ${anyOf(all.map(({ family }) => family.architecture))}`,
    );
  }
  // Later mixers have what earlier ones have, and more.
  const signed = all.toReversed().find(({ family }) =>
    family.signs.some((name) => fields.has(name))
  );
  if (layer === undefined && signed !== undefined) return signed;
  if (layer === undefined && fields.has("hidden_size")) fields.expected("model_type", expected);
  return all.find(({ mixer }) => mixer.layer === (layer ?? OFFICIAL_LAYER)) ??
    fields.expected("model_type", expected);
}

/** `"a", "b" or "c"`. */
function anyOf(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  return [quoted.slice(0, -1).join(", "), ...quoted.slice(-1)].filter(Boolean).join(" or ");
}

/** A setting that the module does not have would be an error there, too. */
function refuseUnknownSettings(
  fields: Fields,
  ssm_cfg: Fields | undefined,
  { settings, title }: Mixer,
): void {
  const unknown = ssm_cfg?.names().find((name) => !settings.includes(name));
  if (ssm_cfg !== undefined && unknown !== undefined) {
    fields.fail(
      `${ssm_cfg.path(unknown.slice(0, 60))} is ${describe(ssm_cfg.value(unknown))}, ` +
        `and ${title} has no such setting`,
    );
  }
}

/** Parts that change the mathematics and that no kernel here computes. */
function refuseVariants(fields: Fields, mixer: Mixer): void {
  const attn_layer_idx = fields.array("attn_layer_idx");
  if (attn_layer_idx !== undefined && attn_layer_idx.length > 0) {
    fields.fail(
      `attn_layer_idx names ${attn_layer_idx.length} attention layers (a hybrid model), ` +
        "which this version does not support, expected none",
    );
  }
  const d_intermediate = fields.integer("d_intermediate", 0, MAX_D_MODEL * MAX_EXPAND) ?? 0;
  if (d_intermediate > 0 && mixer.mlp === undefined) {
    fields.fail(
      `d_intermediate is ${d_intermediate} (an MLP in each block), ` +
        `which this version does not support with ${mixer.title}, expected 0`,
    );
  }
  // "swish" is another name for the same function.
  fields.word("hidden_act", mixer.activations ?? ["silu", "swish"]);
  if (fields.boolean("rms_norm") === false) {
    fields.fail(
      "rms_norm is false (LayerNorm), which this version does not support, expected true",
    );
  }
  // Accepted either way: the residual stream is always f32 here, and fusing changes no result.
  fields.boolean("residual_in_fp32");
  fields.boolean("fused_add_norm");
}
