/** Which model a config.json is of, by what it calls itself or, where it does not say, by what it holds. */

import { describe, type Fields } from "./fields.ts";
import { MAX_D_MODEL, MAX_EXPAND } from "./limits.ts";

/**
 * Whose rules fill in what is absent: the official `mamba_ssm` package, which pads the vocabulary and stops at no
 * token; `transformers`, which states the padded table and stops at a token by default; or Mistral's params.json of
 * Codestral Mamba, which names a few sizes and leaves the others to `mamba_ssm`.
 */
export type Dialect = "mamba_ssm" | "transformers" | "mistral";

/** What is inside the blocks, by the names that `transformers` gives. */
export type ModelType = "mamba" | "falcon_mamba" | "mamba2";

/** The model and the dialect of a config.json. */
export interface Family {
  readonly model_type: ModelType;
  readonly dialect: Dialect;
}

const MODEL_TYPES: readonly ModelType[] = ["mamba", "mamba2", "falcon_mamba"];

const EXPECTED = '"mamba", "mamba2" or "falcon_mamba"';

/** Models that mix these blocks with attention: people may well try them. */
const HYBRIDS: readonly string[] = [
  ...["bamba", "falcon_h1", "granitemoehybrid", "jamba", "nemotron_h", "zamba", "zamba2"],
];

/** Relatives whose mathematics differ. */
const UNSUPPORTED: readonly string[] = ["mamba3"];

/** Class names in `architectures`, by how they begin. */
const ARCHITECTURES: readonly (readonly [RegExp, ModelType])[] = [
  [/^Mamba(For|Model|LMHead)/, "mamba"],
  [/^Mamba2(For|Model)/, "mamba2"],
  [/^FalconMamba(For|Model)/, "falcon_mamba"],
];

/** What the official Mamba-1 module takes in `ssm_cfg`; the second row only matters to new weights. */
const MAMBA1_SETTINGS: readonly string[] = [
  ...["layer", "d_state", "d_conv", "expand", "dt_rank", "bias", "conv_bias", "use_fast_path"],
  ...["dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor"],
];

/** The same for Mamba-2; the last row only matters to new weights. */
const MAMBA2_SETTINGS: readonly string[] = [
  ...["layer", "d_state", "d_conv", "expand", "headdim", "d_ssm", "ngroups", "D_has_hdim"],
  ...["rmsnorm", "norm_before_gate", "dt_limit", "bias", "conv_bias", "chunk_size"],
  ...["use_mem_eff_path", "A_init_range", "conv_init", "dt_min", "dt_max", "dt_init_floor"],
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
  if (dialect === "mistral") {
    if (fields.has("n_heads")) {
      fields.fail(
        `n_heads is ${describe(fields.value("n_heads"))} (a model of attention), ` +
          "which this version does not support, expected Codestral Mamba",
      );
    }
    // Its one published model calls itself "mamba" here, and is Mamba-2.
    fields.word("model_type", ["mamba", "mamba2"]);
  }
  const layer = parseLayer(fields, ssm_cfg);
  const named = dialect === "mistral" ? "mamba2" : parseName(fields, layer);
  if (layer !== undefined && (layer === "Mamba2") !== (named === "mamba2")) {
    fields.fail(
      `model_type is "${named}", and ssm_cfg.layer is "${layer}": both name the same setting`,
    );
  }
  refuseUnknownSettings(fields, ssm_cfg, named);
  refuseVariants(fields);
  return { model_type: named, dialect };
}

/** What `ssm_cfg` says of the layers, if it does. */
function parseLayer(
  fields: Fields,
  ssm_cfg: Fields | undefined,
): "Mamba1" | "Mamba2" | undefined {
  const layer = ssm_cfg?.value("layer");
  if (layer === undefined || layer === "Mamba1" || layer === "Mamba2") return layer;
  const verdict = layer === "Mamba3" ? ", which this version does not support" : "";
  return fields.fail(
    `ssm_cfg.layer is ${describe(layer)}${verdict}, expected "Mamba1" or "Mamba2"`,
  );
}

/** What the file calls the model; where it does not, its class or fields that only one model has. */
function parseName(fields: Fields, layer: "Mamba1" | "Mamba2" | undefined): ModelType {
  const model_type = fields.value("model_type");
  if (model_type !== undefined) {
    const known = MODEL_TYPES.find((name) => name === model_type);
    if (known !== undefined) return known;
    const isHybrid = typeof model_type === "string" && HYBRIDS.includes(model_type);
    const isRelative = typeof model_type === "string" && UNSUPPORTED.includes(model_type);
    const verdict = isHybrid
      ? " (a hybrid with attention layers), which this version does not support"
      : isRelative
      ? ", which this version does not support"
      : "";
    fields.fail(`model_type is ${describe(model_type)}${verdict}, expected ${EXPECTED}`);
  }
  const architectures = fields.strings("architectures") ?? [];
  for (const name of architectures) {
    const known = ARCHITECTURES.find(([pattern]) => pattern.test(name));
    if (known !== undefined) return known[1];
  }
  if (architectures.length > 0) {
    fields.fail(
      `architectures has ${describe(architectures[0])}, which this version does not support, ` +
        'expected "MambaForCausalLM", "Mamba2ForCausalLM" or "FalconMambaForCausalLM"',
    );
  }
  if (layer !== undefined) return layer === "Mamba2" ? "mamba2" : "mamba";
  if (["num_heads", "head_dim", "n_groups"].some((name) => fields.has(name))) return "mamba2";
  if (fields.has("mixer_rms_eps")) return "falcon_mamba";
  const signs = ["d_model", "state_size", "conv_kernel", "time_step_rank"];
  if (fields.has("hidden_size") && !signs.some((name) => fields.has(name))) {
    fields.expected("model_type", EXPECTED);
  }
  return "mamba";
}

/** A setting that the module does not have would be an error there, too. */
function refuseUnknownSettings(
  fields: Fields,
  ssm_cfg: Fields | undefined,
  model_type: ModelType,
): void {
  const isMamba2 = model_type === "mamba2";
  const accepted = isMamba2 ? MAMBA2_SETTINGS : MAMBA1_SETTINGS;
  const unknown = ssm_cfg?.names().find((name) => !accepted.includes(name));
  if (ssm_cfg !== undefined && unknown !== undefined) {
    fields.fail(
      `${ssm_cfg.path(unknown.slice(0, 60))} is ${describe(ssm_cfg.value(unknown))}, ` +
        `and Mamba-${isMamba2 ? 2 : 1} has no such setting`,
    );
  }
}

/** Parts that change the mathematics and that no kernel here computes. */
function refuseVariants(fields: Fields): void {
  const attn_layer_idx = fields.array("attn_layer_idx");
  if (attn_layer_idx !== undefined && attn_layer_idx.length > 0) {
    fields.fail(
      `attn_layer_idx names ${attn_layer_idx.length} attention layers (a hybrid model), ` +
        "which this version does not support, expected none",
    );
  }
  const d_intermediate = fields.integer("d_intermediate", 0, MAX_D_MODEL * MAX_EXPAND) ?? 0;
  if (d_intermediate > 0) {
    fields.fail(
      `d_intermediate is ${d_intermediate} (an MLP in each block), ` +
        "which this version does not support, expected 0",
    );
  }
  // "swish" is another name for the same function.
  fields.word("hidden_act", ["silu", "swish"]);
  if (fields.boolean("rms_norm") === false) {
    fields.fail(
      "rms_norm is false (LayerNorm), which this version does not support, expected true",
    );
  }
  // Accepted either way: the residual stream is always f32 here, and fusing changes no result.
  fields.boolean("residual_in_fp32");
  fields.boolean("fused_add_norm");
}
