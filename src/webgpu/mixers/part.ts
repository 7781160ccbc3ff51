/** How WebGPU runs one part of a block: the twin of a descriptor in src/model/mixers. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import type { TrainingActivations } from "../training_activations.ts";
import type { HalfWeights, WeightLookup } from "../weights.ts";

/** What a part carries from step to step, by the names of its descriptor. */
export type StateTensors<Name extends string = string> = Readonly<Record<Name, Tensor>>;

/** What activations are for: any `batch` sequences that have `rows` steps together. */
export interface ActivationSize {
  readonly rows: number;
  /** 0 where each sequence has a single step. */
  readonly batch: number;
  /** For training, which keeps states in tensors of its own. */
  readonly keepsStates?: boolean;
}

/** What one half of a block works on. */
export interface HalfTensors<
  Weights = object,
  Activations = object,
  Name extends string = string,
> {
  /** Of the norm before the part. */
  readonly norm: Tensor;
  readonly weights: Weights;
  readonly state: StateTensors<Name>;
  /** The residual stream (rows, d_model), to which the part's output is added. */
  readonly residual: Tensor;
  /** For RMSNorm of it (rows, d_model). */
  readonly normed: Tensor;
  readonly activations: Activations;
  /** Where the part's output goes instead of being added to the residual stream: for dropout. */
  readonly output?: Tensor | undefined;
}

/** Size of a half's forward pass. */
export interface HalfShape {
  readonly batch: number;
  readonly seqlen: number;
  /** One step of any batch, by the kernels of a step: no bit of a row depends on how many there are. Default false. */
  readonly isStep?: boolean | undefined;
  /** Steps from one kept state to the next, for training; default 0: none is kept. */
  readonly chunk?: number;
  readonly label: string;
}

/** What the backward of a half works on. */
export interface HalfBwdTensors<
  Weights = object,
  Activations = object,
  Gradients = object,
  Name extends string = string,
> {
  readonly weights: HalfWeights<Weights>;
  readonly gradients: HalfWeights<Weights>;
  /** What all halves share. */
  readonly training: TrainingActivations;
  /** What the part's forward wrote. */
  readonly activations: Activations;
  /** Where the gradients of it go, and those of the initial state. */
  readonly grad: Gradients;
  /** The state that the sequences began with. */
  readonly initial: StateTensors<Name>;
  /** The state as forward left it: at the end, or a slot for each chunk and one more. */
  readonly state: StateTensors<Name>;
  /** The residual stream before the half. */
  readonly input: Tensor;
  /** The gradient of what the part added to it, which is read before anything is written. */
  readonly gradOutput: Tensor;
}

/** What training needs of a part. */
export interface PartTraining<
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  Activations = object,
  Gradients = object,
  Name extends string = string,
> {
  /** Steps from one kept state to the next. */
  readonly chunk: number;
  /** How each piece of the state is kept: as it was at both ends of the sequence, or at every border of chunks. */
  readonly keeps: Readonly<Record<Name, "ends" | "borders">>;
  /** Activations that backward computes again instead of keeping them. */
  readonly recomputed: ReadonlySet<string>;
  /** Allocates the gradients of activations and of the initial state, with what makes a tensor of a size. */
  gradients(
    config: Config,
    shape: BatchShape,
    make: (name: string, size: number) => Tensor,
  ): Gradients;
  /** Elements of the largest partial sums of a parameter's gradient, matrices aside. */
  partialElements(config: Config, shape: BatchShape): number;
  /** Records the backward half. */
  backward(
    program: Program,
    config: Config,
    tensors: HalfBwdTensors<Weights, Activations, Gradients, Name>,
    label: string,
  ): void;
}

/** A part of a block on WebGPU. */
export interface WebGpuPart<
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  Activations = object,
  Gradients = object,
  Name extends string = string,
> {
  /** Its tensors, put where the forward pass looks for them. */
  weights(config: Config, lookup: WeightLookup): Weights;
  /** Elements of its activations, by name. */
  activationSizes(config: Config, size: ActivationSize): Readonly<Record<string, number>>;
  /** The same, from what makes a tensor by its name. */
  activations(make: (name: string) => Tensor): Activations;
  /** Records one half of a block: residual += part(RMSNorm(residual)), and the state moves on by seqlen steps. */
  forward(
    program: Program,
    config: Config,
    tensors: HalfTensors<Weights, Activations, Name>,
    shape: HalfShape,
  ): void;
  /** Where it can be trained. */
  readonly training?: PartTraining<Config, Weights, Activations, Gradients, Name>;
}
