/** What one part of a block is on the CPU: its weights, its activations, and its ops. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { CpuMatrix } from "../matrix.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";

/** Finds weights by official name. */
export interface WeightLookup {
  matrix(name: string): CpuMatrix;
  vector(name: string): CpuTensor;
}

/** What the ops of one half of a block work on. */
export interface HalfTensors<
  Weights = unknown,
  State extends string = string,
  Activation extends string = string,
> {
  /** The norm that comes first. */
  readonly norm: CpuTensor;
  readonly weights: Weights;
  /** What the part carries from step to step. */
  readonly state: Readonly<Record<State, CpuTensor>>;
  /** The residual stream (rows, d_model), which the part's output is added to. */
  readonly residual: CpuTensor;
  /** A place for RMSNorm of it (rows, d_model). */
  readonly normed: CpuTensor;
  /** What is inside the part. */
  readonly own: Readonly<Record<Activation, CpuTensor>>;
}

/** Size of one half of a block's forward pass. */
export interface HalfShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly label: string;
}

/** The CPU's side of what src/model/mixers describes under the same name. */
export interface CpuPart<
  Config extends ModelConfig = ModelConfig,
  Weights = unknown,
  State extends string = string,
  Activation extends string = string,
> {
  readonly name: string;
  /** The part's weights, by the last part of their official names. */
  weights(config: Config, lookup: WeightLookup): Weights;
  /** Elements of its activations for so many rows, by name. All blocks use the same. */
  activationSizes(config: Config, rows: number): Readonly<Record<Activation, number>>;
  /** Records one half of a block: residual += part(RMSNorm(residual)), and its state moves on by seqlen steps. */
  forward(
    program: CpuProgram,
    config: Config,
    tensors: HalfTensors<Weights, State, Activation>,
    shape: HalfShape,
  ): void;
}
