/** The sizes that a config.json may state: anything beyond is a damaged or a hostile file. */

import type { Mamba1Config, Mamba2Config, ModelConfig } from "./config.ts";
import type { Fields } from "./fields.ts";

/** The largest sizes believed. The published models stay below a hundredth of each. */
export const MAX_D_MODEL = 2 ** 20;
export const MAX_N_LAYER = 4096;
export const MAX_VOCAB_SIZE = 2 ** 24;
export const MAX_D_STATE = 2 ** 16;
export const MAX_D_CONV = 1024;
export const MAX_EXPAND = 1024;
/** Kernels address elements with a u32. */
const MAX_TENSOR_ELEMENTS = 2 ** 32 - 1;

/** Each size may be fine and their product still past what a kernel can address. */
export function refuseOverflow(fields: Fields, config: ModelConfig): void {
  const { d_model, d_inner, input, head } = config;
  const inputRows = input.kind === "embedding" ? input.vocab_size : input.d_input;
  const headRows = head.kind === "lm" ? head.vocab_size : head.n_classes;
  const elements: Record<string, number> = {
    "the input's weight [d_model, inputs]": d_model * inputRows,
    ...(config.model_type === "mamba2" ? mamba2Elements(config) : mamba1Elements(config)),
    "out_proj.weight [d_model, d_inner]": d_model * d_inner,
    "the head's weight [outputs, d_model]": headRows * d_model,
  };
  for (const [name, count] of Object.entries(elements)) {
    if (count > MAX_TENSOR_ELEMENTS) {
      fields.fail(
        `${name} has ${count} elements, and at most ${MAX_TENSOR_ELEMENTS} can be addressed`,
      );
    }
  }
}

function mamba1Elements(config: Mamba1Config): Record<string, number> {
  const { d_model, d_inner, n_layer, d_state, d_conv, dt_rank } = config;
  return {
    "in_proj.weight [2 * d_inner, d_model]": 2 * d_inner * d_model,
    "conv1d.weight [d_inner, d_conv]": d_inner * d_conv,
    "x_proj.weight [dt_rank + 2 * d_state, d_inner]": (dt_rank + 2 * d_state) * d_inner,
    "dt_proj.weight [d_inner, dt_rank]": d_inner * dt_rank,
    "the state [n_layer, d_inner, d_conv + d_state]": n_layer * d_inner * (d_conv + d_state),
  };
}

function mamba2Elements(config: Mamba2Config): Record<string, number> {
  const { d_model, d_inner, n_layer, d_state, d_conv, nheads, ngroups } = config;
  const conv_dim = d_inner + 2 * ngroups * d_state;
  const d_in_proj = d_inner + conv_dim + nheads;
  const state = conv_dim * d_conv + d_inner * d_state;
  return {
    "in_proj.weight [d_inner + conv_dim + nheads, d_model]": d_in_proj * d_model,
    "conv1d.weight [conv_dim, d_conv]": conv_dim * d_conv,
    "the state [n_layer, conv_dim * d_conv + d_inner * d_state]": n_layer * state,
  };
}
