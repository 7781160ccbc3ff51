/** Shapes of the published models, by name. */

import { type ModelConfig, parseConfig } from "../../src/model/config.ts";

interface Sizes {
  readonly d_model: number;
  readonly n_layer: number;
  readonly vocab_size?: number;
}

const SIZES: Readonly<Record<string, Sizes>> = {
  // Not published: for trying things out.
  "mamba-tiny": { d_model: 64, n_layer: 2, vocab_size: 256 },
  "mamba-130m": { d_model: 768, n_layer: 24 },
  "mamba-370m": { d_model: 1024, n_layer: 48 },
  "mamba-790m": { d_model: 1536, n_layer: 48 },
  "mamba-1.4b": { d_model: 2048, n_layer: 48 },
  "mamba-2.8b": { d_model: 2560, n_layer: 64 },
};

/** Tokens of the GPT-NeoX tokenizer. */
const VOCAB_SIZE = 50277;

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
  return parseConfig({ vocab_size: VOCAB_SIZE, ...sizes, ssm_cfg: {} });
}
