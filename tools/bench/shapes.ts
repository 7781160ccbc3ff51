/** Shapes of the published models, by name. */

import { type ModelConfig, parseConfig } from "../../src/model/config/config.ts";

/** Tokens of the GPT-NeoX tokenizer. */
const VOCAB_SIZE = 50277;

const MAMBA1 = { vocab_size: VOCAB_SIZE, ssm_cfg: {} };
const MAMBA2 = {
  vocab_size: VOCAB_SIZE,
  ssm_cfg: { layer: "Mamba2" },
  pad_vocab_size_multiple: 16,
};

const MAMBA3 = { vocab_size: 128256, pad_vocab_size_multiple: 16 };
const SISO = { ...MAMBA3, ssm_cfg: { layer: "Mamba3" } };
const MIMO = { ...MAMBA3, ssm_cfg: { layer: "Mamba3", is_mimo: true, mimo_rank: 4 } };

const S4 = {
  ...{ hidden_size: 128, num_hidden_layers: 2, vocab_size: 256 },
  tie_word_embeddings: true,
  eos_token_id: null,
};

/** What their config.json says, of those fields that are not the default. */
const CONFIGS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "mamba-130m": { ...MAMBA1, d_model: 768, n_layer: 24 },
  "mamba-370m": { ...MAMBA1, d_model: 1024, n_layer: 48 },
  "mamba-790m": { ...MAMBA1, d_model: 1536, n_layer: 48 },
  "mamba-1.4b": { ...MAMBA1, d_model: 2048, n_layer: 48 },
  "mamba-2.8b": { ...MAMBA1, d_model: 2560, n_layer: 64 },
  "mamba2-130m": { ...MAMBA2, d_model: 768, n_layer: 24 },
  "mamba2-370m": { ...MAMBA2, d_model: 1024, n_layer: 48 },
  "mamba2-780m": { ...MAMBA2, d_model: 1536, n_layer: 48 },
  "mamba2-1.3b": { ...MAMBA2, d_model: 2048, n_layer: 48 },
  "mamba2-2.7b": { ...MAMBA2, d_model: 2560, n_layer: 64 },
  "falcon-mamba-7b": {
    model_type: "falcon_mamba",
    hidden_size: 4096,
    num_hidden_layers: 64,
    intermediate_size: 8192,
    time_step_rank: 256,
    vocab_size: 65024,
    eos_token_id: 11,
    tie_word_embeddings: false,
  },
  "codestral-mamba-7b": {
    model_type: "mamba2",
    hidden_size: 4096,
    num_hidden_layers: 64,
    num_heads: 128,
    head_dim: 64,
    n_groups: 8,
    state_size: 128,
    vocab_size: 32768,
    eos_token_id: 2,
    tie_word_embeddings: false,
  },
  "mamba3-siso-187m": { ...SISO, d_model: 768, d_intermediate: 1536, n_layer: 12 },
  "mamba3-mimo-187m": { ...MIMO, d_model: 768, d_intermediate: 1264, n_layer: 12 },
  // What is known of the larger ones leaves the width of the MLP open: here it is as many times d_model.
  "mamba3-siso-1.5b": { ...SISO, d_model: 2048, d_intermediate: 4096, n_layer: 24 },
  "mamba3-mimo-1.5b": { ...MIMO, d_model: 2048, d_intermediate: 3840, n_layer: 24 },
  // Not published: for trying things out.
  "mamba-tiny": { ...MAMBA1, d_model: 64, n_layer: 2, vocab_size: 256 },
  "mamba-small": { ...MAMBA1, d_model: 256, n_layer: 7, vocab_size: 65 },
  "s4d-tiny": { ...S4, model_type: "s4d" },
  "s4-tiny": { ...S4, model_type: "s4" },
  "mamba2-tiny": { ...MAMBA2, d_model: 64, n_layer: 2, vocab_size: 256 },
  "mamba3-siso-tiny": { ...SISO, d_model: 64, d_intermediate: 128, n_layer: 2, vocab_size: 256 },
  "mamba3-mimo-tiny": { ...MIMO, d_model: 64, d_intermediate: 128, n_layer: 2, vocab_size: 256 },
};

/** Names that {@linkcode shapeConfig} knows. */
export const SHAPES: readonly string[] = Object.keys(CONFIGS);

/**
 * The config of a published model.
 *
 * @throws {RangeError} If the name is not one of {@linkcode SHAPES}.
 */
export function shapeConfig(name: string): ModelConfig {
  const config = CONFIGS[name];
  if (config === undefined) {
    throw new RangeError(`Cannot find the shape "${name}": expected ${SHAPES.join(", ")}`);
  }
  return parseConfig(config);
}
