/** The options that set a run's numbers: names on the command line, names in the library. */

import type { SeriesAugmentation } from "../../train/series_augmentation.ts";
import type { OwnOption } from "../../model/mixers/mixer.ts";
import { mixers } from "../../model/mixers/mixers.ts";
import type { Hyperparameters } from "../../train/task.ts";

/** Names of the settings that are numbers. */
export type NumberName = {
  [Name in keyof Hyperparameters]: Hyperparameters[Name] extends number ? Name : never;
}[keyof Hyperparameters];

/** Settings with numbers for values: option, key, what it is. */
export const NUMBERS: readonly (readonly [string, NumberName, string])[] = [
  ["steps", "steps", "Steps of the whole run"],
  ["batch-size", "batchSize", "Sequences of a batch"],
  ["seqlen", "seqlen", "Steps of a sequence; only text can be cut to any"],
  ["accumulation", "accumulation", "Batches whose gradients are added up for each step"],
  ["learning-rate", "learningRate", "Highest learning rate"],
  ["minimum-learning-rate", "minimumLearningRate", "Where the cosine ends"],
  ["warmup-steps", "warmupSteps", "Steps over which the rate rises"],
  ["weight-decay", "weightDecay", "Decoupled; for matrices and convolutions only"],
  ["beta1", "beta1", "Decay of AdamW's mean of gradients"],
  ["beta2", "beta2", "Decay of AdamW's mean of squares"],
  ["eps", "eps", "Added to the root of AdamW's mean of squares"],
  [
    "dropout",
    "dropout",
    "Share of embedding and block outputs dropped in training; in S4 of GELU's too",
  ],
  ["label-smoothing", "labelSmoothing", "Share of each target spread over all classes in training"],
  ["clip-norm", "clipNorm", "Largest norm of the gradient; 0 for any"],
  ["evaluate-every", "evaluateEvery", "Steps between evaluations, each with a checkpoint"],
  [
    "eval-batches",
    "evaluationBatches",
    "Batches of an evaluation; 0 for what costs no more than the training between two",
  ],
  ["patience", "patience", "Evaluations without a better loss that end the run; 0 for no end"],
  ["seed", "seed", "Of weights and order of the data"],
];

/** Sizes of any model. */
export const SIZES: readonly (readonly [string, string, string])[] = [
  ["d-model", "d_model", "Width of the residual stream (default: the preset's)"],
  ["n-layer", "n_layer", "Blocks (default: the preset's)"],
  ["d-state", "d_state", "States a channel (default: the preset's)"],
  ["d-conv", "d_conv", "Taps of the convolution (default: the preset's)"],
  ["expand", "expand", "Channels of a block, times d_model (default: the preset's)"],
];

/** What mixers have of their own, each once: option, and what the mixer calls it. */
export const OWN: readonly (readonly [string, OwnOption])[] = [
  ...new Map(
    mixers().flatMap(({ ownOptions }) => ownOptions)
      .map((option) => [option.name.replaceAll("_", "-"), option] as const),
  ),
];

/** What happens to training series at random. */
export const CHANGES: readonly (readonly [string, keyof SeriesAugmentation, string])[] = [
  ["jitter", "jitter", "Noise added to training series, as a share of their standard deviation"],
  ["scale", "scale", "Most that their height changes, as a share of it"],
  ["stretch", "stretch", "Most that their length changes, as a share of it"],
  [
    "shift",
    "shift",
    "Values, or pixels, that they move by at most, the end value repeated",
  ],
  ["roll", "roll", "Values that they move by at most, in a circle"],
  ["tilt", "tilt", "Most of a slope that is added, as a share of their standard deviation"],
  ["mix", "mix", "Largest part of another series of the same class mixed in, to 0.5"],
];
