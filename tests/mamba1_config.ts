import type { ModelConfig } from "../src/model/config/config.ts";
import { isMamba1, type Mamba1Config } from "../src/model/mixers/mamba1.ts";

/** A config that is taken to be one of Mamba-1. */
export function mamba1Config(config: ModelConfig): Mamba1Config {
  if (isMamba1(config)) return config;
  throw new TypeError(`model_type is "${config.model_type}", expected Mamba-1`);
}
