/**
 * A checkpoint's config.json, of either dialect, as one plain description of the model.
 *
 * This is the only file that knows the field names of other systems (`hidden_size`, `state_size`, ...).
 */

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
  readonly kind: "image";
  readonly width: number;
  readonly height: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: number;
  /** What one step holds: the whole image, one row, one pixel, or a square patch of `patch_size`. */
  readonly step: "image" | "row" | "pixel" | "patch";
  readonly patch_size?: number;
  /** Raw bytes are multiplied by this first. */
  readonly rescale: number;
  /** Then (value - mean[channel]) / std[channel]. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** How a series of numbers becomes input vectors. */
export interface SeriesPreprocessing {
  readonly kind: "series";
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Everything the model's code needs to know of a Mamba-1 checkpoint, with all fields derived and checked. */
export interface ModelConfig {
  readonly model_type: "mamba";
  readonly d_model: number;
  readonly n_layer: number;
  readonly d_inner: number;
  readonly d_state: number;
  readonly d_conv: number;
  readonly dt_rank: number;
  readonly norm_epsilon: number;
  /** Whether in_proj and out_proj have biases. */
  readonly use_bias: boolean;
  readonly use_conv_bias: boolean;
  readonly input: InputConfig;
  readonly head: HeadConfig;
  /** Ids below this are real tokens; rows from here to `vocab_size` are padding and are never sampled. */
  readonly real_vocab_size: number;
  /** Generation stops after any of these. */
  readonly eos_token_ids: readonly number[];
  readonly preprocessing?: ImagePreprocessing | SeriesPreprocessing;
  /** Class names by index. */
  readonly labels?: readonly string[];
}
