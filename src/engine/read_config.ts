/** The model that a checkpoint holds: what its config says, and its weights where the config is silent. */

import type { Checkpoint } from "../io/checkpoint.ts";
import { stateDictPrefix } from "../io/pytorch_zip.ts";
import { type ModelConfig, parseConfig, saysTied } from "../model/config.ts";
import { hasOwnHead } from "./load_weights.ts";
import { embeddingRows } from "./match_tensors.ts";

/**
 * Reads a checkpoint's config.
 *
 * @throws {ConfigError} If it is of no model that is supported.
 */
export async function readConfig(
  { config: json, configName, tensors }: Checkpoint,
): Promise<ModelConfig> {
  const prefix = stateDictPrefix(tensors);
  const config = parseConfig(json, configName, embeddingRows(tensors, prefix));
  const { head, input } = config;
  if (head.kind !== "lm" || input.kind !== "embedding" || saysTied(json)) return config;
  // A head of its own in the weights says that it is not tied, and none that it is.
  return { ...config, head: { ...head, tied: !await hasOwnHead(tensors, prefix) } };
}
