/** Whether the CPU can train a model, before anything is made for it. */

import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { NORM_PART } from "../model/grad_norm.ts";
import { parameterLayout } from "../model/parameter_layout.ts";
import { parameterCount } from "../model/weights/weight_specs.ts";
import { MAX_MEMORY_BYTES } from "./machine/memory.ts";
import { CPU_PARTS } from "./platform.ts";

/** Values, gradients, their sum over batches and both moments, and values and moments once more, kept for a rewind. */
const MOST_SETS = 8;

/**
 * Refuses a model that has no backward, or whose parameters cannot fit: before they are made, which takes long for such a
 * model.
 *
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If the parameters do not fit in the module's memory.
 */
export function requireTrainable(config: ModelConfig): void {
  CPU_PARTS.requireSupported(config);
  sharedByPart(config, (part) => CPU_PARTS.trainingOf(part));
  const sizeBytes = MOST_SETS * parameterLayout(config, NORM_PART).size * 4;
  if (sizeBytes <= MAX_MEMORY_BYTES) return;
  throw new RangeError(
    `Cannot train a model of ${
      parameterCount(config)
    } parameters: with their gradients and moments they take ` +
      `${sizeBytes} bytes, and the CPU executor reaches ${MAX_MEMORY_BYTES}. Use a smaller d_model or n_layer`,
  );
}
