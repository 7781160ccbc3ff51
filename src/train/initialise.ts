/** New weights, from a seed. */

import type { ModelConfig } from "../model/config/config.ts";
import { randomKey } from "../model/random.ts";
import { elementCount } from "../model/shapes.ts";
import { weightSpecs } from "../model/weights/weight_specs.ts";

/**
 * Makes the weights of an untrained model.
 *
 * Every tensor has its own stream of random numbers, by name: a layer more, or another head, changes no other tensor.
 *
 * @param config The model.
 * @param seed A whole number from 0 to 2^53 - 1; the same seed gives the same bits.
 * @returns Every tensor of `weightSpecs(config)` by its official name, row-major in the spec's shape, in that order.
 * @throws {RangeError} If the seed is out of range.
 */
export function initialise(
  config: ModelConfig,
  seed: number,
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    weightSpecs(config).map(({ name, shape, initial }) => [
      name,
      initial(randomKey(seed, name), elementCount(shape)),
    ]),
  );
}
