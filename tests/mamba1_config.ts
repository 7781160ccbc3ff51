import type { Mamba1Config, ModelConfig } from "../src/model/config/config.ts";

/** A config that is taken to be one of Mamba-1. */
export function mamba1Config(config: ModelConfig): Mamba1Config {
  if (config.model_type !== "mamba2") return config;
  throw new TypeError(`model_type is "${config.model_type}", expected Mamba-1`);
}
