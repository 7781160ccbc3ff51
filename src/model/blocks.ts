/** Stands in for the descriptors of blocks until they are here. */

import type { ModelConfig } from "./config/config.ts";
import type { BlockPart } from "./mixers/mixer.ts";
import { ssdWidths } from "./ssd_sizes.ts";

/** One half of a block: residual += part(RMSNorm(residual)). */
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
  const part: BlockPart = {
    name: config.model_type === "mamba2" ? "mamba2" : "mamba1",
    stateShapes(config) {
      const { d_inner, d_conv, d_state } = config;
      if (config.model_type !== "mamba2") {
        return { conv_state: [d_inner, d_conv], ssm_state: [d_inner, d_state] };
      }
      return {
        conv_state: [ssdWidths(config).conv_dim, d_conv],
        ssm_state: [config.nheads, config.headdim, d_state],
      };
    },
  };
  return Array.from({ length: config.n_layer }, (_, layer) => ({
    label: `layers.${layer}`,
    norm: `backbone.layers.${layer}.norm.weight`,
    prefix: `backbone.layers.${layer}.mixer.`,
    part,
  }));
}
