/** A model's weights in the module's memory, as the forward pass wants them. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { endNames } from "../model/weights/weight_specs.ts";
import type { CpuMatrix } from "./matrix.ts";
import { partOf } from "./mixers/mixers.ts";
import type { CpuProgram } from "./program.ts";
import type { CpuTensor } from "./tensor.ts";

/** Finds the tensors by official name. */
export interface WeightLookup {
  matrix(name: string): CpuMatrix;
  vector(name: string): CpuTensor;
  /** Makes a tensor of that name, which `record` computes from others, once. */
  derived(
    name: string,
    shape: readonly number[],
    record: (program: CpuProgram, tensor: CpuTensor) => void,
  ): CpuTensor;
}

/** The weights of one half of a block. */
export interface HalfWeights<Weights = object> {
  readonly norm: CpuTensor;
  readonly part: Weights;
}

/** The weights of a model. */
export interface CpuWeights {
  readonly input: { readonly weight: CpuMatrix; readonly bias: CpuTensor | undefined };
  readonly halves: readonly HalfWeights[];
  readonly norm_f: CpuTensor;
  readonly head: { readonly weight: CpuMatrix; readonly bias: CpuTensor | undefined };
}

/** Weights in memory, and how to free them. */
export interface LoadedWeights extends Disposable {
  readonly weights: CpuWeights;
  readonly sizeBytes: number;
}

/** Puts the tensors where the forward pass looks for them. */
export function modelWeights(config: ModelConfig, lookup: WeightLookup): CpuWeights {
  const { input, inputBias, norm_f, head, headBias } = endNames(config);
  const bias = (name: string | undefined) => name === undefined ? undefined : lookup.vector(name);
  return {
    input: { weight: lookup.matrix(input), bias: bias(inputBias) },
    halves: blockHalves(config).map(({ norm, prefix, part }) => ({
      norm: lookup.vector(norm),
      part: partOf(part).weights(config, {
        matrix: (name) => lookup.matrix(prefix + name),
        vector: (name) => lookup.vector(prefix + name),
        derived: (name, ...how) => lookup.derived(prefix + name, ...how),
      }),
    })),
    norm_f: lookup.vector(norm_f),
    head: { weight: lookup.matrix(head), bias: bias(headBias) },
  };
}
