/** What a model's blocks are made of. */

import type { ModelConfig } from "./config/config.ts";
import type { BlockPart } from "./mixers/mixer.ts";
import { mixerOf } from "./mixers/mixers.ts";

/**
 * One half of a block: residual += part(RMSNorm(residual)). A block is a list of them: one with the
 * mixer, and with some mixers another with an MLP.
 */
export interface BlockHalf {
  /** What labels and parts of the state are called by: `layers.3`. */
  readonly label: string;
  /** The official name of its norm's weight. */
  readonly norm: string;
  /** What official names of its part's weights begin with. */
  readonly prefix: string;
  /** What describes its part. */
  readonly part: BlockPart;
}

/** The halves of all blocks, in the order in which they run. */
export function blockHalves(config: ModelConfig): BlockHalf[] {
  const mixer = mixerOf(config);
  const mlp = mixer.mlp?.(config);
  return Array.from({ length: config.n_layer }, (_, layer): BlockHalf[] => {
    const label = `layers.${layer}`;
    const first = {
      label,
      norm: `backbone.${label}.norm.weight`,
      prefix: `backbone.${label}.mixer.`,
      part: mixer,
    };
    if (mlp === undefined) return [first];
    const norm = `backbone.${label}.norm2.weight`;
    return [first, { label: `${label}.mlp`, norm, prefix: `backbone.${label}.mlp.`, part: mlp }];
  }).flat();
}

/** Makes something for each half of a block, whatever it is; halves with the same part share one. */
export function sharedByPart<T>(config: ModelConfig, make: (part: BlockPart) => T): T[] {
  const made = new Map<BlockPart, { readonly value: T }>();
  return blockHalves(config).map(({ part }) => {
    const found = made.get(part) ?? { value: make(part) };
    made.set(part, found);
    return found.value;
  });
}
