/** Shapes of the published models, by name. */

import { type ModelConfig, parseConfig } from "../../src/model/config.ts";

const SIZES: Readonly<Record<string, { d_model: number; n_layer: number }>> = {
  "mamba-130m": { d_model: 768, n_layer: 24 },
  "mamba-370m": { d_model: 1024, n_layer: 48 },
  "mamba-790m": { d_model: 1536, n_layer: 48 },
  "mamba-1.4b": { d_model: 2048, n_layer: 48 },
  "mamba-2.8b": { d_model: 2560, n_layer: 64 },
};

/** Names that {@linkcode shapeConfig} knows. */
export const SHAPES: readonly string[] = Object.keys(SIZES);

/**
 * The config of a published model.
 *
 * @throws {RangeError} If the name is not one of {@linkcode SHAPES}.
 */
export function shapeConfig(name: string): ModelConfig {
  const sizes = SIZES[name];
  if (sizes === undefined) {
    throw new RangeError(`Cannot find the shape "${name}": expected ${SHAPES.join(", ")}`);
  }
  return parseConfig({ ...sizes, vocab_size: 50277, ssm_cfg: {} });
}
