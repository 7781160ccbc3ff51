/** How the CPU runs one part of a block: the twin of a descriptor in src/model/mixers. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import type { WeightLookup } from "../weights.ts";

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
  readonly state: Readonly<Record<State, CpuTensor>>;
  /** The residual stream (rows, d_model), which the part's output is added to. */
  readonly residual: CpuTensor;
  /** A place for RMSNorm of it (rows, d_model). */
  readonly normed: CpuTensor;
  readonly activations: Readonly<Record<Activation, CpuTensor>>;
}

/** Size of one half of a block's forward pass. */
export interface HalfShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly label: string;
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
}
