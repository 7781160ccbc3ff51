/**
 * A checkpoint's config.json, of either dialect, as one plain description of the model.
 *
 * This is the only file that knows the field names of other systems (`hidden_size`, `state_size`, ...), so it stays
 * whole, reading and writing together, though it is long.
 */

import { type Dialect, parseEndOfSequence, parseEnds, parseLabels } from "./config_ends.ts";
import { agreed, ConfigError, describe, Fields } from "./config_fields.ts";
import {
  MAX_D_CONV,
  MAX_D_MODEL,
  MAX_D_STATE,
  MAX_EXPAND,
  MAX_N_LAYER,
  refuseOverflow,
} from "./config_limits.ts";
import { parsePreprocessing } from "./config_preprocessing.ts";

export { ConfigError };

/** What one step of the sequence is before the first block. */
export type InputConfig =
  /** A token id, looked up in a table of `vocab_size` rows (padding rows included). */
  | { readonly kind: "embedding"; readonly vocab_size: number }
  /** A vector of `d_input` floats (pixel, row of pixels, patch, sensor sample), multiplied by a weight. */
  | { readonly kind: "linear"; readonly d_input: number; readonly bias: boolean };

/** What is read off the last block. */
export type HeadConfig =
  /** Logits over `vocab_size` rows; `tied` uses the embedding's rows. */
  | { readonly kind: "lm"; readonly vocab_size: number; readonly tied: boolean }
  /** Class logits from the last step, or from the running mean of all steps. */
  | {
    readonly kind: "classifier";
    readonly n_classes: number;
    readonly pool: "last" | "mean";
    readonly bias: boolean;
  };

/** How an image becomes a sequence of input vectors: kept in the checkpoint, never in code. */
export interface ImagePreprocessing {
  /** Tells the kinds of preprocessing apart. */
  readonly kind: "image";
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: number;
  /** What one step holds: the whole image, one row, one pixel, or a square patch of `patch_size`. */
  readonly step: "image" | "row" | "pixel" | "patch";
  /** Side of a patch in pixels, for step "patch" alone; it divides both sides of the image. */
  readonly patch_size?: number;
  /** Raw bytes are multiplied by this first. */
  readonly rescale: number;
  /** Of each channel, after rescale. A value becomes (value - mean[channel]) / std[channel]. */
  readonly mean: readonly number[];
  /** Of each channel, above 0. */
  readonly std: readonly number[];
}

/** How a series of numbers becomes input vectors. */
export interface SeriesPreprocessing {
  /** Tells the kinds of preprocessing apart. */
  readonly kind: "series";
  /** Subtracted from each of the `d_input` values of a step. */
  readonly mean: readonly number[];
  /** Then divides them; above 0. */
  readonly std: readonly number[];
}

/**
 * How a grey image is a sequence of token ids: first one that begins the image, then one a pixel, row after row. A pixel's
 * id is its value, below `real_vocab_size`; ids from there on begin images, one for each of `labels`, or one for all.
 */
export interface PixelPreprocessing {
  /** Tells the kinds of preprocessing apart. */
  readonly kind: "pixels";
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** Everything the model's code needs to know of a Mamba-1 checkpoint, with all fields derived and checked. */
export interface ModelConfig {
  /** The architecture: Mamba-1. */
  readonly model_type: "mamba";
  /** Width of the residual stream. */
  readonly d_model: number;
  /** Number of blocks. */
  readonly n_layer: number;
  /** Channels inside a block. */
  readonly d_inner: number;
  /** States of each channel. */
  readonly d_state: number;
  /** Taps of the causal convolution, the current step included. */
  readonly d_conv: number;
  /** Inputs of dt_proj. */
  readonly dt_rank: number;
  /** Added to the mean square in every RMSNorm. */
  readonly norm_epsilon: number;
  /** Whether in_proj and out_proj have biases. */
  readonly use_bias: boolean;
  /** Whether conv1d has a bias. */
  readonly use_conv_bias: boolean;
  /** What one step is before the first block. */
  readonly input: InputConfig;
  /** What is read off the last block. */
  readonly head: HeadConfig;
  /** Ids below this are real tokens; rows from here to `vocab_size` are padding and are never sampled. */
  readonly real_vocab_size: number;
  /** Generation stops after any of these. */
  readonly eos_token_ids: readonly number[];
  /** How data becomes input vectors, where the checkpoint says so. */
  readonly preprocessing?: ImagePreprocessing | SeriesPreprocessing | PixelPreprocessing;
  /** Class names by index: a classifier's, or those of the images that a model of pixels makes. */
  readonly labels?: readonly string[];
}

/** What the official Mamba-1 module takes in `ssm_cfg`; the second row only matters to new weights. */
const SSM_CFG_NAMES: readonly string[] = [
  ...["layer", "d_state", "d_conv", "expand", "dt_rank", "bias", "conv_bias", "use_fast_path"],
  ...["dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor"],
];

/** Relatives whose configs look alike and whose mathematics differ. */
const UNSUPPORTED_MODEL_TYPES: readonly string[] = ["mamba2", "falcon_mamba"];

/** Whether a config.json says itself if the head is tied to the embedding; where it does not, the weights may. */
export function saysTied(json: unknown): boolean {
  return typeof json === "object" && json !== null &&
    (Object.hasOwn(json, "tie_word_embeddings") || Object.hasOwn(json, "tie_embeddings"));
}

/**
 * Reads a config.json of either dialect: the one of the official `mamba_ssm` package (`d_model`, `ssm_cfg`) or the
 * one of `transformers` (`hidden_size`, `state_size`), each with this project's `input`, `head`, `preprocessing`,
 * `labels` and `real_vocab_size`.
 *
 * An absent field gets the value that the official code of that dialect gives it. Sizes of the model itself
 * (`d_model`, `n_layer`, `vocab_size`) must be there. A setting that is present under two names, or that others
 * determine, must agree with them.
 *
 * @param json What `JSON.parse` gave.
 * @param fileName What error messages call the file.
 * @param tableRows Rows of the embedding in the weights, where known: a config of `mamba_ssm` that is silent about
 * padding, beside a table of exactly `vocab_size` rows, has none.
 * @returns The model's description, every field present, checked and derived.
 * @throws {ConfigError} Where the file is not a Mamba-1 config, a field is wrong, or two fields contradict each other.
 *
 * @example
 * ```ts
 * import { parseConfig } from "./config.ts";
 *
 * const config = parseConfig({ d_model: 768, n_layer: 24, vocab_size: 50277, ssm_cfg: {} });
 * config.dt_rank; // 48
 * config.input; // { kind: "embedding", vocab_size: 50280 }
 * ```
 */
export function parseConfig(
  json: unknown,
  fileName = "config.json",
  tableRows?: number,
): ModelConfig {
  const fields = new Fields(json, fileName);
  const ssm_cfg = fields.object("ssm_cfg");
  refuseRelatives(fields, ssm_cfg);
  refuseVariants(fields);
  const dialect: Dialect = fields.has("hidden_size") ? "transformers" : "mamba_ssm";

  const integer = (min: number, max: number) => (at: Fields, name: string) =>
    at.integer(name, min, max);
  const boolean = (at: Fields, name: string) => at.boolean(name);

  const d_model = agreed(
    [[fields, "hidden_size"], [fields, "d_model"]],
    integer(1, MAX_D_MODEL),
  ) ?? fields.expected("d_model", `an integer from 1 to ${MAX_D_MODEL}`);
  const n_layer = agreed(
    [[fields, "num_hidden_layers"], [fields, "n_layer"]],
    integer(1, MAX_N_LAYER),
  ) ?? fields.expected("n_layer", `an integer from 1 to ${MAX_N_LAYER}`);
  const d_state = agreed(
    [[fields, "state_size"], [fields, "d_state"], [ssm_cfg, "d_state"]],
    integer(1, MAX_D_STATE),
  )?.value ?? 16;
  const d_conv = agreed(
    [[fields, "conv_kernel"], [fields, "d_conv"], [ssm_cfg, "d_conv"]],
    integer(1, MAX_D_CONV),
  )?.value ?? 4;
  const automaticRank = Math.ceil(d_model.value / 16);
  const dt_rank = agreed(
    [[fields, "time_step_rank"], [fields, "dt_rank"], [ssm_cfg, "dt_rank"]],
    (at, name) => at.value(name) === "auto" ? automaticRank : at.integer(name, 1, MAX_D_MODEL),
  )?.value ?? automaticRank;
  const norm_epsilon = agreed(
    [[fields, "layer_norm_epsilon"], [fields, "norm_epsilon"]],
    (at, name) => at.positive(name, 1),
  )?.value ?? 1e-5;
  const use_bias = agreed(
    [[fields, "use_bias"], [fields, "bias"], [ssm_cfg, "bias"]],
    boolean,
  )?.value ?? false;
  const use_conv_bias = agreed(
    [[fields, "use_conv_bias"], [fields, "conv_bias"], [ssm_cfg, "conv_bias"]],
    boolean,
  )?.value ?? true;
  const tied = agreed([[fields, "tie_word_embeddings"], [fields, "tie_embeddings"]], boolean);

  const { input, head, real_vocab_size } = parseEnds(fields, { dialect, tied, tableRows });
  const preprocessing = parsePreprocessing(fields, { input, head, real_vocab_size });
  const labels = parseLabels(fields, { head, real_vocab_size }, preprocessing?.kind);
  const config: ModelConfig = {
    model_type: "mamba",
    d_model: d_model.value,
    n_layer: n_layer.value,
    d_inner: parseInnerSize(fields, ssm_cfg, d_model.path, d_model.value),
    d_state,
    d_conv,
    dt_rank,
    norm_epsilon,
    use_bias,
    use_conv_bias,
    input,
    head,
    real_vocab_size,
    eos_token_ids: parseEndOfSequence(fields, dialect, input, head),
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(labels === undefined ? {} : { labels }),
  };
  refuseOverflow(fields, config);
  return config;
}

/** Other architectures, told apart by what their configs call themselves. */
function refuseRelatives(fields: Fields, ssm_cfg: Fields | undefined): void {
  const model_type = fields.value("model_type");
  if (typeof model_type === "string" && UNSUPPORTED_MODEL_TYPES.includes(model_type)) {
    fields.fail(
      `model_type is ${
        describe(model_type)
      }, which this version does not support, expected "mamba"`,
    );
  }
  fields.word("model_type", ["mamba"]);
  if (model_type === undefined) {
    const foreign = fields.strings("architectures")?.find((name) =>
      !/^Mamba(For|Model)/.test(name)
    );
    if (foreign !== undefined) {
      fields.fail(
        `architectures has ${describe(foreign)}, which this version does not support, ` +
          'expected "MambaForCausalLM"',
      );
    }
    // Without a name, fields that Mamba-1 has not, or lacks, are the only sign of another model.
    const mamba2 = ["num_heads", "head_dim", "n_groups"].find((name) => fields.has(name));
    if (mamba2 !== undefined) {
      fields.fail(
        `model_type is absent and ${mamba2} is ${describe(fields.value(mamba2))}, as in Mamba-2, ` +
          'which this version does not support, expected model_type "mamba"',
      );
    }
    const signs = ["d_model", "state_size", "conv_kernel", "time_step_rank", "architectures"];
    if (fields.has("hidden_size") && !signs.some((name) => fields.has(name))) {
      fields.expected("model_type", '"mamba"');
    }
  }
  const layer = ssm_cfg?.value("layer");
  if (ssm_cfg !== undefined && layer !== undefined && layer !== "Mamba1") {
    const verdict = layer === "Mamba2" || layer === "Mamba3"
      ? ", which this version does not support"
      : "";
    fields.fail(`ssm_cfg.layer is ${describe(layer)}${verdict}, expected "Mamba1"`);
  }
  const unknown = ssm_cfg?.names().find((name) => !SSM_CFG_NAMES.includes(name));
  if (ssm_cfg !== undefined && unknown !== undefined) {
    fields.fail(
      `${ssm_cfg.path(unknown.slice(0, 60))} is ${describe(ssm_cfg.value(unknown))}, ` +
        "and Mamba-1 has no such setting",
    );
  }
}

/** Mamba-1 with parts that change the mathematics and that no kernel here computes. */
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

/** `expand` times d_model, or the size itself. transformers believes `intermediate_size` and ignores `expand`. */
function parseInnerSize(
  fields: Fields,
  ssm_cfg: Fields | undefined,
  d_modelPath: string,
  d_model: number,
): number {
  const expand = agreed(
    [[fields, "expand"], [ssm_cfg, "expand"]],
    (at, name) => at.integer(name, 1, MAX_EXPAND),
  );
  const d_inner = agreed(
    [[fields, "intermediate_size"], [fields, "d_inner"]],
    (at, name) => at.integer(name, 1, MAX_D_MODEL * MAX_EXPAND),
  );
  const product = (expand?.value ?? 2) * d_model;
  if (d_inner !== undefined && expand !== undefined && d_inner.value !== product) {
    fields.fail(
      `${d_inner.path} is ${d_inner.value}, and ${expand.path} * ${d_modelPath} is ` +
        `${expand.value} * ${d_model} = ${product}: they must be equal`,
    );
  }
  return d_inner?.value ?? product;
}

/**
 * Writes a config.json as `transformers` reads it (`MambaConfig`), with this project's additions beside the official
 * fields. `parseConfig(toHfConfig(config))` equals `config`.
 *
 * @param config The model's description.
 * @returns A plain object for `JSON.stringify`.
 * @throws {RangeError} If input and head name vocabularies of different sizes, which the format cannot express.
 */
export function toHfConfig(config: ModelConfig): Record<string, unknown> {
  const { input, head } = config;
  const vocab_size = input.kind === "embedding"
    ? input.vocab_size
    : head.kind === "lm"
    ? head.vocab_size
    : undefined;
  if (head.kind === "lm" && head.vocab_size !== vocab_size) {
    throw new RangeError(
      `Cannot write config.json: input.vocab_size is ${vocab_size}, and head.vocab_size is ` +
        `${head.vocab_size}: they must be equal`,
    );
  }
  const expand = config.d_inner / config.d_model;
  const ids = config.eos_token_ids;
  return {
    ...(input.kind === "embedding" && head.kind === "lm"
      // Arithmetic is f32 however the weights are stored: else transformers would compute in f16 where they are f16.
      ? { architectures: ["MambaForCausalLM"], torch_dtype: "float32" }
      : {}),
    model_type: "mamba",
    ...(vocab_size === undefined ? {} : { vocab_size }),
    hidden_size: config.d_model,
    num_hidden_layers: config.n_layer,
    intermediate_size: config.d_inner,
    // A reader without intermediate_size could make nothing of a fraction.
    ...(Number.isInteger(expand) && expand <= MAX_EXPAND ? { expand } : {}),
    state_size: config.d_state,
    conv_kernel: config.d_conv,
    time_step_rank: config.dt_rank,
    layer_norm_epsilon: config.norm_epsilon,
    use_bias: config.use_bias,
    use_conv_bias: config.use_conv_bias,
    hidden_act: "silu",
    rms_norm: true,
    residual_in_fp32: true,
    ...(head.kind === "lm" ? { tie_word_embeddings: head.tied } : {}),
    // Absent ids would become 0 there, and a padding id of 0 makes generate() mask that token.
    bos_token_id: null,
    pad_token_id: null,
    eos_token_id: ids.length === 0 ? null : ids.length === 1 ? ids[0] : [...ids],
    ...(vocab_size === undefined || config.real_vocab_size === vocab_size
      ? {}
      : { real_vocab_size: config.real_vocab_size }),
    ...(input.kind === "linear" ? { input: { ...input } } : {}),
    ...(head.kind === "classifier" ? { head: { ...head } } : {}),
    ...(config.preprocessing === undefined ? {} : { preprocessing: config.preprocessing }),
    ...(config.labels === undefined ? {} : { labels: [...config.labels] }),
  };
}
