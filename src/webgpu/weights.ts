/** A model's weights on the device, as the forward pass wants them. */

import type { Tensor } from "../gpu/tensor.ts";
import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { endNames } from "../model/weights/weight_specs.ts";
import type { Matrix } from "../ops/matrix.ts";
import { partOf } from "./mixers/mixers.ts";

/** Finds the tensors by official name. */
export interface WeightLookup {
  matrix(name: string): Matrix;
  vector(name: string): Tensor;
}

/** The weights of one half of a block, or what goes with them. */
export interface HalfWeights<Weights = object> {
  readonly norm: Tensor;
  readonly part: Weights;
}

/** The weights of a model. */
export interface ModelWeights {
  readonly input: { readonly weight: Matrix; readonly bias: Tensor | undefined };
  readonly halves: readonly HalfWeights[];
  readonly norm_f: Tensor;
  readonly head: { readonly weight: Matrix; readonly bias: Tensor | undefined };
}

/** Weights that are on the device, and how to free them. */
export interface LoadedWeights extends Disposable {
  readonly weights: ModelWeights;
  readonly sizeBytes: number;
}

/** Puts the tensors where the forward pass looks for them. */
export function modelWeights(config: ModelConfig, lookup: WeightLookup): ModelWeights {
  const { input, inputBias, norm_f, head, headBias } = endNames(config);
  const bias = (name: string | undefined) => name === undefined ? undefined : lookup.vector(name);
  return {
    input: { weight: lookup.matrix(input), bias: bias(inputBias) },
    halves: blockHalves(config).map(({ norm, prefix, part }) => ({
      norm: lookup.vector(norm),
      part: partOf(part).weights(config, {
        matrix: (name) => lookup.matrix(prefix + name),
        vector: (name) => lookup.vector(prefix + name),
      }),
    })),
    norm_f: lookup.vector(norm_f),
    head: { weight: lookup.matrix(head), bias: bias(headBias) },
  };
}
