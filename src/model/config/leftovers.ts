/** Fields of the official package in a config of `transformers`, which keeps whatever a file brought and reads its own. */

import type { Fields } from "./fields.ts";

/** What `transformers` calls a setting, by its other names. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  d_model: "hidden_size",
  dim: "hidden_size",
  n_layer: "num_hidden_layers",
  n_layers: "num_hidden_layers",
  d_state: "state_size",
  d_conv: "conv_kernel",
  dt_rank: "time_step_rank",
  dt_limit: "time_step_limit",
  norm_epsilon: "layer_norm_epsilon",
  bias: "use_bias",
  conv_bias: "use_conv_bias",
  tie_embeddings: "tie_word_embeddings",
  headdim: "head_dim",
  nheads: "num_heads",
  ngroups: "n_groups",
};

/** What it has no setting for: a model converted from the official package keeps them, with that one's values. */
const FOREIGN = ["ssm_cfg", "d_inner", "attn_layer_idx", "attn_cfg", "d_intermediate"];

/**
 * The fields that count: of a config of `transformers`, which says what it is and how wide, all but what another dialect
 * says of the same settings.
 */
export function withoutLeftovers(fields: Fields): Fields {
  const isNamed = fields.has("model_type") || fields.has("architectures");
  if (!isNamed || !fields.has("hidden_size")) return fields;
  const leftovers = fields.names().filter((name) => {
    const own = Object.hasOwn(OWN_NAMES, name) ? OWN_NAMES[name] : undefined;
    return FOREIGN.includes(name) || own !== undefined && fields.has(own);
  });
  return leftovers.length === 0 ? fields : fields.without(leftovers);
}
