/**
 * A checkpoint's config.json, of any dialect, as one plain description of the model.
 *
 * This file, its neighbours and src/model/mixers are the only ones that know the field names of other systems
 * (`hidden_size`, `state_size`, ...).
 */

import { familyOf } from "../mixers/mixers.ts";
import { parseEndOfSequence, parseEnds, parseLabels } from "./ends.ts";
import { parseFamily } from "./family.ts";
import { agreed, ConfigError, Fields } from "./fields.ts";
import { withoutLeftovers } from "./leftovers.ts";
import { MAX_D_MODEL, MAX_N_LAYER } from "./limits.ts";
import { refuseOverflow } from "./overflow.ts";
import { parsePreprocessing } from "./preprocessing.ts";

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

/**
 * How sound becomes input vectors: frames of logarithms of the power in bands of frequency, `hop` samples apart, and where
 * in a stream of sound something is said.
 */
export interface AudioPreprocessing {
  /** Tells the kinds of preprocessing apart. */
  readonly kind: "audio";
  /** Samples a second. */
  readonly sample_rate: number;
  /** Samples of a frame: a power of two. */
  readonly window: number;
  /** Samples from the start of one frame to that of the next. */
  readonly hop: number;
  /** Bands of frequency, equally wide in mel: the `d_input` numbers of a frame. */
  readonly n_mels: number;
  /** Where the lowest band begins, in Hz. */
  readonly f_min: number;
  /** Where the highest band ends, in Hz. */
  readonly f_max: number;
  /** Power that is added to every band before the logarithm: that of silence. */
  readonly floor: number;
  /** Frames of a recording: shorter ones are followed by silence, of longer ones these are heard. */
  readonly frames: number;
  /** How far above the background a sound is, in dB. */
  readonly margin_db: number;
  /** Frames before a sound's first loud ones that belong to it. */
  readonly lead_frames: number;
  /** Frames of silence that end a sound. */
  readonly end_frames: number;
  /** Of each band, after the logarithm. A value becomes (value - mean[band]) / std[band]. */
  readonly mean: readonly number[];
  /** Of each band, above 0. */
  readonly std: readonly number[];
}

/** How data becomes a model's input. */
export type Preprocessing =
  | ImagePreprocessing
  | SeriesPreprocessing
  | PixelPreprocessing
  | AudioPreprocessing;

/** What a checkpoint is: all fields derived and checked. What is inside the blocks has fields of its own beside these. */
export interface ModelConfig {
  /** The architecture, by the name that `transformers` gives it: it tells what is inside the blocks. */
  readonly model_type: string;
  /** Width of the residual stream. */
  readonly d_model: number;
  /** Number of blocks. */
  readonly n_layer: number;
  /** Added to the mean square in every RMSNorm. */
  readonly norm_epsilon: number;
  /** What one step is before the first block. */
  readonly input: InputConfig;
  /** What is read off the last block. */
  readonly head: HeadConfig;
  /** Ids below this are real tokens; rows from here to `vocab_size` are padding and are never sampled. */
  readonly real_vocab_size: number;
  /** Generation stops after any of these. */
  readonly eos_token_ids: readonly number[];
  /** How data becomes input vectors, where the checkpoint says so. */
  readonly preprocessing?: Preprocessing;
  /** Class names by index: a classifier's, or those of the images that a model of pixels makes. */
  readonly labels?: readonly string[];
}

/** Whether a config.json says itself if the head is tied to the embedding; where it does not, the weights may. */
export function saysTied(json: unknown): boolean {
  return typeof json === "object" && json !== null &&
    (Object.hasOwn(json, "tie_word_embeddings") || Object.hasOwn(json, "tie_embeddings"));
}

/**
 * Reads a config.json of any dialect: the one of the official `mamba_ssm` package (`d_model`, `ssm_cfg`), the one of
 * `transformers` (`hidden_size`, `state_size`), each with this project's `input`, `head`, `preprocessing`, `labels` and
 * `real_vocab_size`, or Codestral Mamba's params.json (`dim`, `n_layers`).
 *
 * An absent field gets the value that the official code of that dialect gives it. Sizes of the model itself
 * (`d_model`, `n_layer`, `vocab_size`) must be there. A setting that is present under two names, or that others
 * determine, must agree with them; but where a config of `transformers` kept fields of the other dialect, its own count.
 *
 * @param json What `JSON.parse` gave.
 * @param fileName What error messages call the file.
 * @param tableRows Rows of the embedding in the weights, where known: a config of `mamba_ssm` that is silent about
 * padding, beside a table of exactly `vocab_size` rows, has none.
 * @returns The model's description, every field present, checked and derived.
 * @throws {ConfigError} Where the file is of a model that is not supported, a field is wrong, or two fields contradict each other.
 *
 * @example
 * ```ts
 * import { parseConfig } from "./config.ts";
 *
 * const config = parseConfig({ d_model: 768, n_layer: 24, vocab_size: 50277, ssm_cfg: {} });
 * config.real_vocab_size; // 50277
 * config.input; // { kind: "embedding", vocab_size: 50280 }
 * ```
 */
export function parseConfig(
  json: unknown,
  fileName = "config.json",
  tableRows?: number,
): ModelConfig {
  const fields = withoutLeftovers(new Fields(json, fileName));
  const ssm_cfg = fields.object("ssm_cfg");
  const family = parseFamily(fields, ssm_cfg);

  const integer = (min: number, max: number) => (at: Fields, name: string) =>
    at.integer(name, min, max);

  const d_model = agreed(
    [[fields, "hidden_size"], [fields, "d_model"], [fields, "dim"]],
    integer(1, MAX_D_MODEL),
  ) ?? fields.expected("d_model", `an integer from 1 to ${MAX_D_MODEL}`);
  const n_layer = agreed(
    [[fields, "num_hidden_layers"], [fields, "n_layer"], [fields, "n_layers"]],
    integer(1, MAX_N_LAYER),
  ) ?? fields.expected("n_layer", `an integer from 1 to ${MAX_N_LAYER}`);
  const norm_epsilon = agreed(
    [[fields, "layer_norm_epsilon"], [fields, "norm_epsilon"]],
    (at, name) => at.positive(name, 1),
  )?.value ?? 1e-5;
  const tied = agreed(
    [[fields, "tie_word_embeddings"], [fields, "tie_embeddings"]],
    (at, name) => at.boolean(name),
  );

  const { input, head, real_vocab_size } = parseEnds(fields, family, { tied, tableRows });
  const preprocessing = parsePreprocessing(fields, { input, head, real_vocab_size });
  const labels = parseLabels(fields, { head, real_vocab_size }, preprocessing?.kind);
  const config: ModelConfig = {
    ...family.mixer.parse({
      ...{ dialect: family.dialect, model_type: family.family.model_type },
      ...{ fields, ssm_cfg, d_model, n_layer: n_layer.value, norm_epsilon },
    }),
    input,
    head,
    real_vocab_size,
    eos_token_ids: parseEndOfSequence(fields, family, input, head),
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(labels === undefined ? {} : { labels }),
  };
  refuseOverflow(fields, config);
  return config;
}

/**
 * Writes a config.json as `transformers` reads it (`MambaConfig` and its like), with this project's additions beside the official
 * fields. `parseConfig(toHfConfig(config))` equals `config`.
 *
 * @param config The model's description.
 * @returns A plain object for `JSON.stringify`.
 * @throws {RangeError} If input and head name vocabularies of different sizes, or the blocks have a setting, which the
 * format cannot express.
 */
export function toHfConfig(config: ModelConfig): Record<string, unknown> {
  const { input, head } = config;
  const { mixer, family } = familyOf(config);
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
  const ids = config.eos_token_ids;
  return {
    ...(input.kind === "embedding" && head.kind === "lm"
      // Arithmetic is f32 however the weights are stored: else transformers would compute in f16 where they are f16.
      ? { architectures: [family.architecture], torch_dtype: "float32" }
      : {}),
    model_type: config.model_type,
    ...(vocab_size === undefined ? {} : { vocab_size }),
    hidden_size: config.d_model,
    num_hidden_layers: config.n_layer,
    hidden_act: "silu",
    ...mixer.toHfFields(config),
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
