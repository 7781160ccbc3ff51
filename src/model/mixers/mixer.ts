/** What a mixer is, apart from how it runs: each describes itself in one of these, and mixers.ts lists them. */

import type { ModelConfig } from "../config/config.ts";
import type { Dialect } from "../config/family.ts";
import type { Fields, Setting } from "../config/fields.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";

/** What one part of a block brings with it: `residual += part(RMSNorm(residual))`. */
export interface BlockPart<Config extends ModelConfig = ModelConfig> {
  /** What executors know it by. */
  readonly name: string;
  /** Its tensors in the checkpoint, by the last part of their names. */
  weightSpecs(config: Config): WeightSpec[];
  /** Shapes of what a sequence carries from step to step, by name and in the order of the state's buffer. */
  stateShapes(config: Config): Readonly<Record<string, readonly number[]>>;
}

/** One kind of model with a mixer, as its config.json tells it. */
export interface ModelFamily {
  /** Its `model_type`. */
  readonly model_type: string;
  /** What people call it. */
  readonly title: string;
  /** The class of its language models, as `architectures` names it. */
  readonly architecture: string;
  /** How names of its classes begin. */
  readonly classes: RegExp;
  /** Fields that tell it where nothing names it. */
  readonly signs: readonly string[];
  /** Whether `transformers` ties the head to the embedding where the file does not say. */
  readonly tied: boolean;
  /** What ends a text where the file does not say. */
  readonly eos_token_id: number;
  /** What Mistral's params.json calls it, where that is of such models. */
  readonly mistralNames?: readonly string[];
}

/** Where the fields of one config.json are found, with those that were read already. */
export interface BlockFields {
  readonly dialect: Dialect;
  readonly model_type: string;
  readonly fields: Fields;
  readonly ssm_cfg: Fields | undefined;
  readonly d_model: Setting<number>;
  readonly n_layer: number;
  readonly norm_epsilon: number;
}

/** A size or a choice that new models of a mixer have, and those of most others have not. */
export interface OwnOption {
  /** What the library calls it; the command line has dashes in it. */
  readonly name: string;
  /** What it is, and its default, as a line of help. */
  readonly help: string;
  /**
   * What it may be.
   *
   * @default {undefined} A number.
   */
  readonly words?: readonly string[];
}

/** Values of such options, by their names; what is left out has its default. */
export type OwnValues = Readonly<Record<string, number | string | undefined>>;

/** What a model of no checkpoint is made from. */
export interface NewModel extends Omit<ModelConfig, "model_type"> {
  readonly d_state: number;
  readonly d_conv: number;
  /** Channels inside a block for each one of the residual stream. */
  readonly expand: number;
  /** Of the mixer's own options. */
  readonly own?: OwnValues;
}

/** A number among a mixer's own options. */
export function ownNumber({ own }: NewModel, name: string): number | undefined {
  const value = own?.[name];
  return typeof value === "number" ? value : undefined;
}

/** One of some words among them. */
export function ownWord<Word extends string>(
  { own }: NewModel,
  name: string,
  words: readonly Word[],
): Word | undefined {
  return words.find((word) => word === own?.[name]);
}

/** What the channels of a layer convolve with. */
export interface LayerKernels {
  /** Of each channel, how long a step of the sequence is to it. */
  readonly steps: readonly number[];
  /** K (d_model, length): y[t] = sum over l of K[l] u[t - l], without the skip D. */
  readonly kernels: readonly Float64Array[];
}

/** The fields of a config that do not belong to the model's ends or its data. */
export type BlockConfig<Config extends ModelConfig> = Omit<
  Config,
  "input" | "head" | "real_vocab_size" | "eos_token_ids" | "preprocessing" | "labels"
>;

/** Fields of a config that change no weight, so that whoever loads a model may choose them. */
export const LOAD_CHOICES = ["mode", "A_activation"] as const;

/** One of them. */
export type LoadChoice = typeof LOAD_CHOICES[number];

/** What a mixer is called, reads, needs, keeps and begins with. */
export interface Mixer<Config extends ModelConfig = ModelConfig> extends BlockPart<Config> {
  /** What people call it. */
  readonly title: string;
  /** The models that have it: the one that is mostly meant comes first. */
  readonly families: readonly [ModelFamily, ...ModelFamily[]];
  /** What `ssm_cfg.layer` of the official package calls it. */
  readonly layer?: string;
  /** What `ssm_cfg` may say of it. */
  readonly settings: readonly string[];
  /** What a new model of it can be given beside the sizes that all have. */
  readonly ownOptions: readonly OwnOption[];
  /**
   * What it leaves to choose when a model is loaded, and between what.
   *
   * @default {nothing}
   */
  readonly choices?: Readonly<Partial<Record<LoadChoice, readonly string[]>>>;
  /**
   * Sizes that suit it better than those of a task's presets, which are for the first mixer.
   *
   * @default {none}
   */
  readonly usualSizes?: Partial<Pick<NewModel, "d_state">>;
  /** What a block's second half is, of mixers that may have an MLP beside them. */
  mlp?(config: Config): BlockPart | undefined;
  /**
   * What `hidden_act` may say of it.
   *
   * @default {["silu", "swish"]}
   */
  readonly activations?: readonly string[];
  /**
   * Reads what a config.json says of the blocks, in any dialect.
   *
   * @throws {ConfigError} Where a field is wrong, or two contradict each other.
   */
  parse(places: BlockFields): BlockConfig<Config>;
  /**
   * The same fields as `transformers` names them.
   *
   * @throws {RangeError} If there is a setting that the format has not.
   */
  toHfFields(config: Config): Record<string, unknown>;
  /** Elements of what grows with the config: of its tensors and of the state, by what messages call them. */
  elementCounts(config: Config): Record<string, number>;
  /**
   * Channels inside a block.
   *
   * @default {those of the residual stream}
   */
  innerWidth?(config: Config): number;
  /**
   * What each channel of a layer convolves with, of mixers that convolve with the same at every step.
   *
   * @param read A tensor of the layer, by the last part of its name.
   * @param length Numbers of each kernel.
   */
  kernels?(
    config: Config,
    read: (name: string) => ArrayLike<number>,
    length: number,
  ): LayerKernels;
  /** The sizes that shapes of tensors follow from, in words. */
  describeSizes(config: Config): string;
  /**
   * The config of a new model.
   *
   * @throws {RangeError} If sizes do not fit each other.
   */
  newConfig(model: NewModel): Config;
}
