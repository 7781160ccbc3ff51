/** How one part of a block runs: the passes that go with a descriptor in src/model/mixers. */

import type { ModelConfig } from "../model/config/config.ts";
import type { BatchShape } from "../model/training_executor.ts";
import type { DropoutSite } from "./dropout.ts";
import type { PassKinds } from "./kinds.ts";
import type { ActivationSize, Named } from "./ops/op.ts";
import type { TrainingActivations } from "./training/activations.ts";
import type { HalfWeights, WeightLookup } from "./weights.ts";

/** What one half of a block works on. */
export interface HalfTensors<
  K extends PassKinds,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
> {
  /** Of the norm before the part. */
  readonly norm: K["tensor"];
  readonly weights: Weights;
  /** What the part carries from step to step. */
  readonly state: Named<State, K["tensor"]>;
  /** The residual stream (rows, d_model), which the part's output is added to. */
  readonly residual: K["tensor"];
  /** A place for RMSNorm of it (rows, d_model). */
  readonly normed: K["tensor"];
  readonly activations: Named<Activation, K["tensor"]>;
  /** Where the part's output goes instead of being added to the residual stream: for dropout. */
  readonly output?: K["tensor"] | undefined;
  /** How a part that drops something on the way does so, where training drops. */
  readonly within?: DropoutSite<K> | undefined;
}

/** Size of one half of a block's forward pass. */
export interface HalfShape {
  readonly batch: number;
  readonly seqlen: number;
  /** One step of any batch, by the ops of a step: no bit of a row depends on how many there are. Default false. */
  readonly isStep?: boolean | undefined;
  /** Steps from one kept state to the next, for training; default 0: none is kept. */
  readonly chunk?: number;
  readonly label: string;
}

/** What the backward of a half works on. */
export interface HalfBwdTensors<
  K extends PassKinds,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
  Scratch extends string = string,
> {
  readonly weights: HalfWeights<K, Weights>;
  readonly gradients: HalfWeights<K, Weights>;
  /** What all halves share. */
  readonly training: TrainingActivations<K>;
  /** What the part's forward wrote. */
  readonly activations: Named<Activation, K["tensor"]>;
  /** Where the gradients of it go, those of the initial state, and partial sums of the part's own. */
  readonly scratch: Named<Scratch, K["tensor"]>;
  /** The state that the sequences began with. */
  readonly initial: Named<State, K["tensor"]>;
  /** The state as forward left it: at the end, or a slot for each chunk and one more. */
  readonly state: Named<State, K["tensor"]>;
  /** The residual stream before the half. */
  readonly input: K["tensor"];
  /** RMSNorm of it, or a place for it where the executor computes it again. */
  readonly normed: K["tensor"];
  /** The gradient of what the part added to it, which is read before anything is written. */
  readonly gradOutput: K["tensor"];
  /** What forward was told to drop within the part. */
  readonly within?: DropoutSite<K> | undefined;
}

/** What training needs of a part. */
export interface PartTraining<
  K extends PassKinds,
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
  Scratch extends string = string,
> {
  /** Steps from one kept state to the next. */
  readonly chunk: number;
  /** How each piece of the state is kept: as it was at both ends of the sequence, or at every border of chunks. */
  readonly keeps: Readonly<Record<State, "ends" | "borders">>;
  /** Activations that backward computes again, where the executor `recomputes`, instead of keeping them. */
  readonly recomputed: ReadonlySet<Activation>;
  /** Elements of what backward works in, by name. */
  scratchSizes(config: Config, shape: BatchShape): Readonly<Record<Scratch, number>>;
  /** Names of scratch that some ops have as one binding, in that order. */
  readonly together: readonly Scratch[];
  /**
   * Elements of the largest partial sums of a parameter's gradient, matrices aside.
   *
   * @throws {RangeError} If a backward does not take a size of the model.
   */
  partialElements(config: Config, shape: BatchShape): number;
  /** Records the backward half. */
  backward(
    program: K["program"],
    config: Config,
    tensors: HalfBwdTensors<K, Weights, State, Activation, Scratch>,
    label: string,
  ): void;
}

/** A part of a block, over the ops of an executor. */
export interface Part<
  K extends PassKinds,
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
  Scratch extends string = string,
> {
  /**
   * Refuses sizes that the ops do not take, if there are any.
   *
   * @throws {RangeError} With the size and its limit.
   */
  requireSupported?(config: Config): void;
  /** Its tensors, put where the passes look for them. */
  weights(config: Config, lookup: WeightLookup<K>): Weights;
  /** Elements of its activations, by name. */
  activationSizes(config: Config, size: ActivationSize): Readonly<Record<Activation, number>>;
  /** Names of activations that some ops have as one binding, in that order. */
  readonly together: readonly Activation[];
  /** Records one half of a block: residual += part(RMSNorm(residual)), and the state moves on by seqlen steps. */
  forward(
    program: K["program"],
    config: Config,
    tensors: HalfTensors<K, Weights, State, Activation>,
    shape: HalfShape,
  ): void;
  /** Where it can be trained. */
  readonly training?: PartTraining<K, Config, Weights, State, Activation, Scratch>;
}
