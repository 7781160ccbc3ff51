/** The model that a checkpoint holds: what its config says, and its weights where the config is silent. */

import { type Checkpoint, parseJson } from "../io/checkpoint.ts";
import { stateDictPrefix } from "../io/state_dict.ts";
import { withGenerationConfig } from "../model/config/ends.ts";
import { type ModelConfig, parseConfig, saysTied } from "../model/config/config.ts";
import { embeddingRows } from "../model/weights/match_tensors.ts";
import { hasOwnHead } from "./tied_head.ts";

/**
 * Reads a checkpoint's config, and of its weights what stands in the header.
 *
 * Where the config does not say whether the head is the embedding, it is if the weights have no head. If they have one,
 * what the config's dialect takes for granted is believed: see {@linkcode readConfigAndHead}.
 *
 * @throws {ConfigError} If it is of no model that is supported.
 */
export function readConfig({ config: json, configName, tensors }: Checkpoint): ModelConfig {
  const prefix = stateDictPrefix(tensors);
  const config = parseConfig(json, configName, embeddingRows(tensors, prefix));
  const hasHead = tensors.tensors.has(`${prefix}lm_head.weight`);
  return isOpen(config, json) && !hasHead ? withHead(config, { tied: true }) : config;
}

/**
 * The same, and where only the numbers can tell whether the head is the embedding, they are compared.
 *
 * @throws {ConfigError} If it is of no model that is supported.
 */
export async function readConfigAndHead(
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<ModelConfig> {
  const { config: json, tensors } = checkpoint;
  const config = await withOwnEnds(readConfig(checkpoint), checkpoint);
  if (!isOpen(config, json)) return config;
  return withHead(config, { tied: !await hasOwnHead(tensors, stateDictPrefix(tensors), signal) });
}

/**
 * A model's config with the stop tokens of generation_config.json, where the checkpoint has one: official models keep theirs
 * nowhere else.
 *
 * @throws {SyntaxError} If the file is not JSON, or says what is no id.
 */
export async function withOwnEnds(
  config: ModelConfig,
  checkpoint: Pick<Checkpoint, "readText">,
): Promise<ModelConfig> {
  if (config.head.kind !== "lm" || config.input.kind !== "embedding") return config;
  const text = await checkpoint.readText(GENERATION_CONFIG);
  if (text === undefined) return config;
  return withGenerationConfig(config, parseJson(text, GENERATION_CONFIG), GENERATION_CONFIG);
}

const GENERATION_CONFIG = "generation_config.json";

/** Whether the config leaves it to the weights if the head is tied. */
function isOpen({ head, input }: ModelConfig, json: unknown): boolean {
  return head.kind === "lm" && input.kind === "embedding" && !saysTied(json);
}

function withHead(config: ModelConfig, { tied }: { tied: boolean }): ModelConfig {
  return config.head.kind === "lm" ? { ...config, head: { ...config.head, tied } } : config;
}
