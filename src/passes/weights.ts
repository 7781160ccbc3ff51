/** A model's weights where the executor has them, as passes want them. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { endNames } from "../model/weights/weight_specs.ts";
import type { PassKinds } from "./kinds.ts";
import type { Parts } from "./parts.ts";

/** Finds the tensors by official name. */
export interface WeightLookup<K extends PassKinds> {
  matrix(name: string): K["matrix"];
  vector(name: string): K["tensor"];
  /** Makes a tensor of that name, which `record` computes from others: where the executor's ops have such. */
  derived?(
    name: string,
    shape: readonly number[],
    record: (program: K["program"], tensor: K["tensor"]) => void,
  ): K["tensor"] | undefined;
}

/** The weights of one half of a block, or what goes with them. */
export interface HalfWeights<K extends PassKinds, Weights = object> {
  readonly norm: K["tensor"];
  readonly part: Weights;
}

/** The weights of a model. */
export interface ModelWeights<K extends PassKinds> {
  readonly input: { readonly weight: K["matrix"]; readonly bias: K["tensor"] | undefined };
  readonly halves: readonly HalfWeights<K>[];
  readonly norm_f: K["tensor"];
  readonly head: { readonly weight: K["matrix"]; readonly bias: K["tensor"] | undefined };
}

/** Weights that are on the device, and how to free them. */
export interface LoadedWeights<K extends PassKinds> extends Disposable {
  readonly weights: ModelWeights<K>;
  readonly sizeBytes: number;
}

/** Puts the tensors where the forward pass looks for them. */
export function modelWeights<K extends PassKinds>(
  parts: Parts<K>,
  config: ModelConfig,
  lookup: WeightLookup<K>,
): ModelWeights<K> {
  const { input, inputBias, norm_f, head, headBias } = endNames(config);
  const bias = (name: string | undefined) => name === undefined ? undefined : lookup.vector(name);
  return {
    input: { weight: lookup.matrix(input), bias: bias(inputBias) },
    halves: blockHalves(config).map(({ norm, prefix, part }) => ({
      norm: lookup.vector(norm),
      part: parts.of(part).weights(config, {
        matrix: (name) => lookup.matrix(prefix + name),
        vector: (name) => lookup.vector(prefix + name),
        derived: (name, ...how) => lookup.derived?.(prefix + name, ...how),
      }),
    })),
    norm_f: lookup.vector(norm_f),
    head: { weight: lookup.matrix(head), bias: bias(headBias) },
  };
}
