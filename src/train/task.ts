/** What a task is: a model to make, data to train it on, and settings that suit both. */

import { type ModelConfig, parseConfig, toHfConfig } from "../model/config/config.ts";
import type { Mixer } from "../model/mixers/mixer.ts";
import { mixers } from "../model/mixers/mixers.ts";
import type { Source } from "./batches.ts";
import { checkSchedule, type Schedule } from "./schedule.ts";
import type { SeriesAugmentation } from "./series_augmentation.ts";
import { SettingError } from "./setting_error.ts";

/** The settings of a training run. The schedule of the learning rate is among them, steps included. */
export interface Hyperparameters extends Schedule {
  /** Of the weights, the order of the data, augmentation and dropout: a whole number from 0. */
  readonly seed: number;
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Steps of a sequence. Only text can be cut to any; other data has a length of its own. */
  readonly seqlen: number;
  /** Batches whose gradients are added up before the weights change. */
  readonly accumulation: number;
  /** Decoupled weight decay; matrices alone have it. */
  readonly weightDecay: number;
  /** Decay of AdamW's mean of gradients. */
  readonly beta1: number;
  /** Decay of AdamW's mean of squares. */
  readonly beta2: number;
  /** Added to the root of AdamW's mean of squares. */
  readonly eps: number;
  /** The gradient is scaled down to this norm where it is larger; 0 leaves it as it is. */
  readonly clipNorm: number;
  /**
   * Share of the embedding and of each block's output that is dropped in training, from 0 to below 1; in S4D and S4 of GELU's
   * output, too.
   */
  readonly dropout: number;
  /** Share of each target that is spread over all classes in training, from 0 to below 1. */
  readonly labelSmoothing: number;
  /** Steps between two evaluations. */
  readonly evaluateEvery: number;
  /**
   * Validation batches of an evaluation, from the first; 0 for as many as cost no more than the training between two
   * evaluations, which is all of them unless there are many.
   */
  readonly evaluationBatches: number;
  /** The run ends after so many evaluations in a row without a better loss; 0 for never. */
  readonly patience: number;
  /** Whether the state is carried from window to window of a text. */
  readonly carryState: boolean;
}

/** What the model that a task leaves open is made of. */
export interface ModelSize {
  /**
   * What is inside the blocks.
   *
   * @default {"mamba1"}
   */
  readonly mixer?: string;
  /** Width of the residual stream. */
  readonly d_model: number;
  /** Number of blocks. */
  readonly n_layer: number;
  /** States of each channel. */
  readonly d_state: number;
  /** Taps of the convolution. */
  readonly d_conv: number;
  /** Channels of a block: this times d_model. */
  readonly expand: number;
  /**
   * What the mixer alone has: `headdim` of Mamba-2 and Mamba-3, `d_intermediate` and `mimo_rank` of Mamba-3, `mode` of S4D
   * and S4, `init` of S4D. `train.ts --help` says what each is.
   */
  readonly [own: string]: number | string | undefined;
}

/** What a task can be told. */
export interface TaskOptions {
  /**
   * File or folder of the data.
   *
   * @default {undefined} The task's own source, downloaded on first use, where it has one.
   */
  readonly data?: string;
  /**
   * One of the task's presets.
   *
   * @default {undefined} The first.
   */
  readonly preset?: string;
  /**
   * File with a `tokenizer.json`, for text.
   *
   * @default {undefined} The characters of the text are its tokens.
   */
  readonly tokenizer?: string;
  /**
   * How many training examples are kept apart to validate with; with 0, those of the test do that.
   *
   * @default {5000} Of recordings a tenth, of series none.
   */
  readonly heldOut?: number;
  /**
   * Which recordings are for the test: a regular expression that their paths contain.
   *
   * @default {undefined} Those in a folder named test, and those whose names end in _0 to _4.
   */
  readonly test?: string;
  /** Settings other than the task's. */
  readonly hyperparameters?: Partial<Hyperparameters>;
  /** Sizes other than the task's. */
  readonly model?: Partial<ModelSize>;
  /**
   * What happens to training series at random; to images of pixels to predict, `shift` alone.
   *
   * @default {undefined} What the task says.
   */
  readonly changes?: Partial<SeriesAugmentation>;
  /**
   * Checkpoint whose weights the run begins with: of the same sizes, in any type that is not quantized.
   *
   * @default {undefined} Random weights, by the seed.
   */
  readonly from?: string;
  /**
   * How files are downloaded.
   *
   * @default {fetch}
   */
  readonly fetch?: typeof fetch;
}

/** A task, ready to train. */
export interface Task {
  /** What it is called on the command line. */
  readonly name: string;
  /** The model, its preprocessing and labels included. */
  readonly config: ModelConfig;
  /** Endless batches to train on. */
  readonly train: Source;
  /** Batches that choose the best checkpoint: until `next.epoch` is 1, each target counts once. */
  readonly validation: Source;
  /** Batches for the figure of the best model at the end, where they are others than the validation's. */
  readonly test?: Source;
  /** Reads the weights that a new run begins with, by official name; without it they are random. */
  readonly initial?: () => Promise<ReadonlyMap<string, Float32Array>>;
  /** The task's hyperparameters, with what the options say in their place. */
  readonly defaults: Hyperparameters;
  /** Text of the `tokenizer.json` that belongs to the model. */
  readonly tokenizer?: string;
  /** What somebody may want to know of the data before a run: a sentence each. */
  readonly notes?: readonly string[];
  /** What `loadTask` was given: a run's folder keeps it, so that the command goes on with the run as it is. */
  readonly options?: TaskOptions;
  /** The data in one line, such as "55,000 images to train on, 5,000 to validate with". */
  readonly summary: string;
  /**
   * A hash of the data: a run goes on with no other of the same size. It is asked for where a run has a folder; without it
   * `summary` alone is compared.
   */
  readonly dataHash?: () => Promise<string>;
}

/** One of a task's presets. */
export interface TaskPreset {
  /** What it is for, with the time and the figure that were measured, where its sizes do not say it. */
  readonly note?: string;
  /** What `preset` calls it. */
  readonly name: string;
  /**
   * Whether the command takes it where nobody says and training runs on the CPU: one of a size for it.
   *
   * @default {false} The first is taken.
   */
  readonly isDefaultOnCpu?: boolean;
  /** Its settings; `seqlen` is missing where the data has a length of its own. */
  readonly settings: Partial<Hyperparameters>;
  /** The model's sizes. */
  readonly size: ModelSize;
}

/** What most tasks agree on; the rest is each task's own. */
export const COMMON: Omit<
  Hyperparameters,
  "steps" | "batchSize" | "seqlen" | "learningRate" | "minimumLearningRate"
> = {
  seed: 1,
  kind: "cosine",
  warmupSteps: 100,
  accumulation: 1,
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  clipNorm: 1,
  dropout: 0,
  labelSmoothing: 0,
  evaluateEvery: 250,
  evaluationBatches: 0,
  patience: 0,
  carryState: false,
};

/**
 * Puts the caller's settings in place of a task's own. A learning rate without a minimum keeps the task's ratio of both;
 * fewer steps without a warm-up shorten the warm-up to a tenth of them.
 *
 * @throws {SettingError} If a setting is out of range.
 */
export function settings(
  own: Hyperparameters,
  { hyperparameters: given = {} }: TaskOptions,
): Hyperparameters {
  const ratio = own.minimumLearningRate / own.learningRate;
  const merged: Hyperparameters = {
    ...own,
    ...(given.learningRate === undefined
      ? {}
      : { minimumLearningRate: given.learningRate * ratio }),
    ...(given.steps === undefined
      ? {}
      : { warmupSteps: Math.min(own.warmupSteps, Math.floor(given.steps / 10)) }),
    ...given,
  };
  checkSchedule(merged);
  const whole = [
    "seed",
    "patience",
    "batchSize",
    "seqlen",
    "accumulation",
    "evaluateEvery",
    "evaluationBatches",
  ] as const;
  for (const name of whole) {
    const least = ["seed", "patience", "evaluationBatches"].includes(name) ? 0 : 1;
    if (!Number.isSafeInteger(merged[name]) || merged[name] < least) {
      throw new SettingError(
        `Cannot train: ${name} is ${merged[name]}, expected a whole number from ${least}`,
      );
    }
  }
  for (const name of ["weightDecay", "beta1", "beta2", "dropout", "labelSmoothing"] as const) {
    if (!(merged[name] >= 0 && merged[name] < 1)) {
      throw new SettingError(
        `Cannot train: ${name} is ${merged[name]}, expected a number from 0 to below 1`,
      );
    }
  }
  if (!(merged.eps > 0)) {
    throw new SettingError(`Cannot train: eps is ${merged.eps}, expected a number above 0`);
  }
  if (!(merged.clipNorm >= 0)) {
    throw new SettingError(
      `Cannot train: clipNorm is ${merged.clipNorm}, expected a number from 0`,
    );
  }
  return merged;
}

/**
 * The config of a new model.
 *
 * @param size The task's sizes; those that the options give come in their place.
 * @param ends Input, head, and what else belongs to the data.
 * @throws {ConfigError} If a size is out of range.
 * @throws {SettingError} If there is no such mixer, or a size is not one of it.
 */
export function newConfig(
  size: ModelSize,
  ends:
    & Pick<ModelConfig, "input" | "head">
    & Partial<Pick<ModelConfig, "real_vocab_size" | "preprocessing" | "labels">>,
  options: TaskOptions,
): ModelConfig {
  const mixer = options.model?.mixer ?? size.mixer ?? "mamba1";
  const known = mixers();
  const found = known.find(({ name }) => name === mixer);
  if (found === undefined) {
    const names = known.map(({ name }) => `"${name}"`).join(" or ");
    throw new SettingError(`Cannot train: mixer is "${mixer}", expected ${names}`);
  }
  const { mixer: _mixer, d_model, n_layer, d_state, d_conv, expand, ...own } = {
    ...size,
    ...found.usualSizes,
    ...options.model,
  };
  for (const [name, value] of Object.entries<number | string | undefined>(own)) {
    requireOwn(found, name, value);
  }
  const config = found.newConfig({
    ...{ d_model, n_layer, d_state, d_conv, expand, own },
    norm_epsilon: 1e-5,
    eos_token_ids: [],
    ...ends,
    real_vocab_size: ends.real_vocab_size ??
      (ends.input.kind === "embedding" ? ends.input.vocab_size : 0),
  });
  // What is written must be readable: the same checks as for any other checkpoint.
  return parseConfig(toHfConfig(config), "the new model's config");
}

/** @throws {SettingError} If a mixer has no such option, or not with that value. */
function requireOwn(mixer: Mixer, name: string, value: number | string | undefined): void {
  if (value === undefined) return;
  const option = mixer.ownOptions.find((each) => each.name === name);
  if (option === undefined) {
    const names = mixers().filter(({ ownOptions }) => ownOptions.some((own) => own.name === name))
      .map((each) => `"${each.name}"`).join(" or ");
    throw new SettingError(
      names === ""
        ? `Cannot train: ${name} is no size of a model`
        : `Cannot train: ${name} is for the mixer ${names}, and this is "${mixer.name}"`,
    );
  }
  const { words } = option;
  if (words === undefined ? typeof value === "number" : words.some((word) => word === value)) {
    return;
  }
  throw new SettingError(
    `Cannot train: ${name} is ${JSON.stringify(value)}, expected ${
      words?.map((word) => `"${word}"`).join(" or ") ?? "a number"
    }`,
  );
}

/**
 * The preset that the options name, or the first.
 *
 * @throws {SettingError} If the task has no preset of that name.
 */
export function choosePreset<Name extends string>(
  task: string,
  names: readonly [Name, ...Name[]],
  { preset }: TaskOptions,
): Name {
  if (preset === undefined) return names[0];
  const found = names.find((name) => name === preset);
  if (found === undefined) {
    throw new SettingError(
      `Cannot load the task "${task}": it has no preset "${preset}", expected ${names.join(", ")}`,
    );
  }
  return found;
}

/**
 * Refuses what only text can have: a length other than the data's, and a state that is carried on.
 *
 * @throws {SettingError} If the options ask for either.
 */
export function checkLength(task: string, seqlen: number, { hyperparameters }: TaskOptions): void {
  const asked = hyperparameters?.seqlen;
  if (asked !== undefined && asked !== seqlen) {
    throw new SettingError(
      `Cannot load the task "${task}": seqlen is ${asked}, and its sequences have ${seqlen} steps`,
    );
  }
  if (hyperparameters?.carryState === true) {
    throw new SettingError(
      `Cannot load the task "${task}" with carryState: its sequences do not follow one another`,
    );
  }
}
