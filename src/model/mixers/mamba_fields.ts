/** Fields of a config.json that Mamba-1 and Mamba-2 have in common, read and written. */

import type { ModelConfig } from "../config/config.ts";
import { agreed, type Fields } from "../config/fields.ts";
import { MAX_D_CONV, MAX_D_MODEL, MAX_D_STATE, MAX_EXPAND } from "../config/limits.ts";
import type { BlockFields, NewModel, OwnOption } from "./mixer.ts";

/** A model of Mamba blocks of either kind. */
export interface MambaConfig extends ModelConfig {
  /** Channels inside a block. */
  readonly d_inner: number;
  /** States of each channel. */
  readonly d_state: number;
  /** Taps of the causal convolution, the current step included. */
  readonly d_conv: number;
  /** Whether in_proj and out_proj have biases. */
  readonly use_bias: boolean;
  /** Whether conv1d has a bias. */
  readonly use_conv_bias: boolean;
}

/** d_state, or what a dialect has where the file does not say. */
export function parseStateSize({ fields, ssm_cfg }: BlockFields, absent: number): number {
  return agreed(
    [[fields, "state_size"], [fields, "d_state"], [ssm_cfg, "d_state"]],
    (at, name) => at.integer(name, 1, MAX_D_STATE),
  )?.value ?? absent;
}

/**
 * `expand` times d_model, or the size itself; where both are there they must agree.
 *
 * @param places Where the fields are.
 * @param believed Which of the two `transformers` computes with, in models of this kind, whatever the other says.
 */
export function parseInnerSize(
  { dialect, fields, ssm_cfg, d_model }: BlockFields,
  believed: "expand" | "intermediate_size",
): number {
  const expand = agreed(
    [[fields, "expand"], [ssm_cfg, "expand"]],
    (at, name) => at.integer(name, 1, MAX_EXPAND),
  );
  const d_inner = agreed(
    [[fields, "intermediate_size"], [fields, "d_inner"]],
    (at, name) => at.integer(name, 1, MAX_D_MODEL * MAX_EXPAND),
  );
  const product = (expand?.value ?? 2) * d_model.value;
  if (dialect === "transformers" && expand !== undefined) {
    return believed === "expand" ? product : d_inner?.value ?? product;
  }
  if (d_inner !== undefined && expand !== undefined && d_inner.value !== product) {
    fields.fail(
      `${d_inner.path} is ${d_inner.value}, and ${expand.path} * ${d_model.path} is ` +
        `${expand.value} * ${d_model.value} = ${product}: they must be equal`,
    );
  }
  return d_inner?.value ?? product;
}

/** The fields that both kinds read in the same way, in the order that configs of runs are compared in. */
export function parseCommon(
  { fields, ssm_cfg, d_model, n_layer, norm_epsilon }: BlockFields,
): Omit<MambaConfig, keyof ModelConfig | "d_inner" | "d_state"> & {
  readonly d_model: number;
  readonly n_layer: number;
  readonly norm_epsilon: number;
} {
  const boolean = (at: Fields, name: string) => at.boolean(name);
  const d_conv = agreed(
    [[fields, "conv_kernel"], [fields, "d_conv"], [ssm_cfg, "d_conv"]],
    (at, name) => at.integer(name, 1, MAX_D_CONV),
  );
  const use_bias = agreed(
    [[fields, "use_bias"], [fields, "bias"], [ssm_cfg, "bias"]],
    boolean,
  );
  const use_conv_bias = agreed(
    [[fields, "use_conv_bias"], [fields, "conv_bias"], [ssm_cfg, "conv_bias"]],
    boolean,
  );
  return {
    d_model: d_model.value,
    n_layer,
    d_conv: d_conv?.value ?? 4,
    norm_epsilon,
    use_bias: use_bias?.value ?? false,
    use_conv_bias: use_conv_bias?.value ?? true,
  };
}

/** The fields of a mixer as `transformers` names them, around those that one kind alone has. */
export function toHfFields(
  config: MambaConfig,
  own: Record<string, unknown>,
): Record<string, unknown> {
  return {
    state_size: config.d_state,
    ...innerSizeFields(config),
    ...own,
    conv_kernel: config.d_conv,
    layer_norm_epsilon: config.norm_epsilon,
    use_bias: config.use_bias,
    use_conv_bias: config.use_conv_bias,
  };
}

/** d_inner as `transformers` names it. */
export function innerSizeFields(
  { d_inner, d_model }: Pick<MambaConfig, "d_inner" | "d_model">,
): Record<string, number> {
  const expand = d_inner / d_model;
  // A reader without intermediate_size could make nothing of a fraction.
  const isWhole = Number.isInteger(expand) && expand <= MAX_EXPAND;
  return { intermediate_size: d_inner, ...(isWhole ? { expand } : {}) };
}

/** What a new model of either kind has. */
export function newMambaConfig(
  { expand, own: _, ...model }: NewModel,
): Omit<MambaConfig, "model_type"> {
  return { ...model, d_inner: expand * model.d_model, use_bias: false, use_conv_bias: true };
}

/** The sizes that both kinds have, in words. */
export function describeMambaSizes({ d_model, d_inner, d_state, d_conv }: MambaConfig): string {
  return `d_model = ${d_model}, d_inner = ${d_inner}, d_state = ${d_state}, d_conv = ${d_conv}`;
}

/** The option of mixers that have heads. */
export const HEADDIM: OwnOption = {
  name: "headdim",
  help:
    "Channels of a head of Mamba-2 and Mamba-3 (default: 64, or what below it divides a block's)",
};

/** The published 64, as far as it divides the channels. */
export function defaultHeaddim(d_inner: number): number {
  const sizes = Array.from({ length: 64 }, (_, index) => 64 - index);
  return sizes.find((size) => d_inner % size === 0) ?? 1;
}
