/** Stands in for the descriptors of mixers until they are here. */

import type { ModelConfig } from "../config/config.ts";

/** What one part of a block brings with it: `residual += part(RMSNorm(residual))`. */
export interface BlockPart<Config extends ModelConfig = ModelConfig> {
  /** What executors know it by. */
  readonly name: string;
  /** Shapes of what a sequence carries from step to step, by name and in the order of the state's buffer. */
  stateShapes(config: Config): Readonly<Record<string, readonly number[]>>;
}
