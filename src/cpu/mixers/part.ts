/** How the CPU runs one part of a block: the twin of a descriptor in src/model/mixers. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import type { TrainingActivations } from "../training_activations.ts";
import type { HalfWeights, WeightLookup } from "../weights.ts";

/** Tensors by name. */
type Named<Name extends string> = Readonly<Record<Name, CpuTensor>>;

/** What one half of a block works on. */
export interface HalfTensors<
  Weights = object,
  State extends string = string,
  Activation extends string = string,
> {
  /** Of the norm before the part. */
  readonly norm: CpuTensor;
  readonly weights: Weights;
  /** What the part carries from step to step. */
  readonly state: Named<State>;
  /** The residual stream (rows, d_model), which the part's output is added to. */
  readonly residual: CpuTensor;
  /** A place for RMSNorm of it (rows, d_model). */
  readonly normed: CpuTensor;
  readonly activations: Named<Activation>;
  /** Where the part's output goes instead of being added to the residual stream: for dropout. */
  readonly output?: CpuTensor | undefined;
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
  Weights = object,
  State extends string = string,
  Activation extends string = string,
  Gradient extends string = string,
> {
  readonly weights: HalfWeights<Weights>;
  readonly gradients: HalfWeights<Weights>;
  /** What all halves share. */
  readonly training: TrainingActivations;
  /** What the part's forward wrote. */
  readonly activations: Named<Activation>;
  /** Where the gradients of it go. */
  readonly grad: Named<Gradient>;
  /** The state that the sequences began with. */
  readonly initial: Named<State>;
  /** The state as forward left it: at the end, or a slot for each chunk and one more. */
  readonly state: Named<State>;
  /** Where the gradients of the initial state go. */
  readonly gradState: Named<State>;
  /** The residual stream before the half. */
  readonly input: CpuTensor;
  /** RMSNorm of it. */
  readonly normed: CpuTensor;
  /** The gradient of what the part added to it, which is read before anything is written. */
  readonly gradOutput: CpuTensor;
}

/** What training needs of a part. */
export interface CpuPartTraining<
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
  Gradient extends string = string,
> {
  /** Steps from one kept state to the next. */
  readonly chunk: number;
  /** How each piece of the state is kept: as it was at both ends of the sequence, or at every border of chunks. */
  readonly keeps: Readonly<Record<State, "ends" | "borders">>;
  /** Elements of the gradients of activations, and of partial sums of the part's own, by name. */
  gradientSizes(config: Config, shape: BatchShape): Readonly<Record<Gradient, number>>;
  /** Elements of the largest partial sums of a parameter's gradient. */
  partialElements(config: Config, shape: BatchShape): number;
  /** Records the backward half. */
  backward(
    program: CpuProgram,
    config: Config,
    tensors: HalfBwdTensors<Weights, State, Activation, Gradient>,
    label: string,
  ): void;
}

/** A part of a block on the CPU. */
export interface CpuPart<
  Config extends ModelConfig = ModelConfig,
  Weights = object,
  State extends string = string,
  Activation extends string = string,
> {
  /** Its tensors, put where the forward pass looks for them. */
  weights(config: Config, lookup: WeightLookup): Weights;
  /** Elements of its activations for so many rows, by name. */
  activationSizes(config: Config, rows: number): Readonly<Record<Activation, number>>;
  /** Records one half of a block: residual += part(RMSNorm(residual)), and the state moves on by seqlen steps. */
  forward(
    program: CpuProgram,
    config: Config,
    tensors: HalfTensors<Weights, State, Activation>,
    shape: HalfShape,
  ): void;
  /** Where it can be trained. */
  readonly training?: CpuPartTraining<Config, Weights, State, Activation>;
}
