/** The Mamba-1 mixer, and FalconMamba's, which is the same with norms of dt, B and C. */

import type { ModelConfig } from "../config/config.ts";
import { agreed } from "../config/fields.ts";
import { MAX_D_MODEL } from "../config/limits.ts";
import { dtBias, logarithms, ones, uniformWithin, zeros } from "../initial_values.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";
import {
  describeMambaSizes,
  type MambaConfig,
  newMambaConfig,
  parseCommon,
  parseInnerSize,
  parseStateSize,
  toHfFields,
} from "./mamba_fields.ts";
import type { BlockConfig, BlockFields, Mixer } from "./mixer.ts";

/** A model of Mamba-1 blocks. */
export interface Mamba1Config extends MambaConfig {
  /** The architecture: Mamba-1, or FalconMamba, which is Mamba-1 with norms of dt, B and C. */
  readonly model_type: "mamba" | "falcon_mamba";
  /** Inputs of dt_proj. */
  readonly dt_rank: number;
  /** FalconMamba alone: added to the mean square in the norms of dt, B and C, which have no weights. */
  readonly mixer_rms_eps?: number;
}

/** Whether a model is one of Mamba-1. */
export function isMamba1(config: ModelConfig): config is Mamba1Config {
  return config.model_type === "mamba" || config.model_type === "falcon_mamba";
}

/** What describes it. */
export const mamba1: Mixer<Mamba1Config> = {
  name: "mamba1",
  title: "Mamba-1",
  families: [
    {
      model_type: "mamba",
      title: "Mamba-1",
      architecture: "MambaForCausalLM",
      classes: /^Mamba(For|Model|LMHead)/,
      signs: ["d_model", "state_size", "conv_kernel", "time_step_rank"],
      tied: true,
      eos_token_id: 0,
    },
    {
      model_type: "falcon_mamba",
      title: "FalconMamba",
      architecture: "FalconMambaForCausalLM",
      classes: /^FalconMamba(For|Model)/,
      signs: ["mixer_rms_eps"],
      tied: true,
      eos_token_id: 0,
    },
  ],
  layer: "Mamba1",
  // The second row only matters to new weights.
  settings: [
    ...["layer", "d_state", "d_conv", "expand", "dt_rank", "bias", "conv_bias", "use_fast_path"],
    ...["dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor"],
  ],
  ownOptions: [],
  parse,

  toHfFields(config) {
    const { dt_rank, mixer_rms_eps } = config;
    return toHfFields(config, {
      time_step_rank: dt_rank,
      ...(mixer_rms_eps === undefined ? {} : { mixer_rms_eps }),
    });
  },

  innerWidth: ({ d_inner }) => d_inner,

  elementCounts({ d_model, d_inner, n_layer, d_state, d_conv, dt_rank }) {
    return {
      "in_proj.weight [2 * d_inner, d_model]": 2 * d_inner * d_model,
      "conv1d.weight [d_inner, d_conv]": d_inner * d_conv,
      "x_proj.weight [dt_rank + 2 * d_state, d_inner]": (dt_rank + 2 * d_state) * d_inner,
      "dt_proj.weight [d_inner, dt_rank]": d_inner * dt_rank,
      "the state [n_layer, d_inner, d_conv + d_state]": n_layer * d_inner * (d_conv + d_state),
      "out_proj.weight [d_model, d_inner]": d_model * d_inner,
    };
  },

  weightSpecs,

  stateShapes({ d_inner, d_conv, d_state }) {
    return { conv_state: [d_inner, d_conv], ssm_state: [d_inner, d_state] };
  },

  describeSizes(config) {
    return `${describeMambaSizes(config)}, dt_rank = ${config.dt_rank}`;
  },

  newConfig(model) {
    const dt_rank = Math.ceil(model.d_model / 16);
    return { ...newMambaConfig(model), model_type: "mamba", dt_rank };
  },
};

function parse(places: BlockFields): BlockConfig<Mamba1Config> {
  const { fields, ssm_cfg, d_model } = places;
  const automaticRank = Math.ceil(d_model.value / 16);
  const dt_rank = agreed(
    [[fields, "time_step_rank"], [fields, "dt_rank"], [ssm_cfg, "dt_rank"]],
    (at, name) => at.value(name) === "auto" ? automaticRank : at.integer(name, 1, MAX_D_MODEL),
  )?.value ?? automaticRank;
  // The published FalconMamba's `expand` is wrong.
  const d_inner = parseInnerSize(places, "intermediate_size");
  const sizes = { d_state: parseStateSize(places, 16), dt_rank };
  if (places.model_type !== "falcon_mamba") {
    return {
      model_type: "mamba",
      d_inner,
      ...sizes,
      ...parseCommon(places),
    };
  }
  return {
    model_type: "falcon_mamba",
    d_inner,
    ...sizes,
    mixer_rms_eps: fields.positive("mixer_rms_eps", 1) ?? 1e-6,
    ...parseCommon(places),
  };
}

function weightSpecs(config: Mamba1Config): WeightSpec[] {
  const { d_model, n_layer, d_inner, d_state, d_conv, dt_rank, use_bias, use_conv_bias } = config;
  // PyTorch's default of a linear layer; that of dt_proj is the same by the paper.
  const inputs = (count: number) => uniformWithin(1 / Math.sqrt(count));
  const specs: WeightSpec[] = [
    {
      name: "in_proj.weight",
      shape: [2 * d_inner, d_model],
      kind: "matrix",
      initial: inputs(d_model),
    },
    {
      name: "conv1d.weight",
      shape: [d_inner, 1, d_conv],
      kind: "vector",
      decays: true,
      // A channel's convolution has d_conv inputs. Its bias keeps PyTorch's default; those of linear layers are 0.
      initial: inputs(d_conv),
    },
    {
      name: "x_proj.weight",
      shape: [dt_rank + 2 * d_state, d_inner],
      kind: "matrix",
      initial: inputs(d_inner),
    },
    {
      name: "dt_proj.weight",
      shape: [d_inner, dt_rank],
      kind: "matrix",
      neverQuantized: true,
      initial: inputs(dt_rank),
    },
    { name: "dt_proj.bias", shape: [d_inner], kind: "vector", initial: dtBias },
    {
      name: "A_log",
      shape: [d_inner, d_state],
      kind: "vector",
      // A = -1 .. -d_state in every channel (S4D-real).
      initial: logarithms((i) => i % d_state + 1),
    },
    { name: "D", shape: [d_inner], kind: "vector", initial: ones },
    {
      name: "out_proj.weight",
      shape: [d_model, d_inner],
      kind: "matrix",
      // Each block adds to the residual stream: without this its variance would grow with n_layer.
      initial: inputs(d_inner * n_layer),
    },
  ];
  if (use_conv_bias) {
    const initial = inputs(d_conv);
    specs.push({ name: "conv1d.bias", shape: [d_inner], kind: "vector", initial });
  }
  if (use_bias) {
    specs.push({ name: "in_proj.bias", shape: [2 * d_inner], kind: "vector", initial: zeros });
    specs.push({ name: "out_proj.bias", shape: [d_model], kind: "vector", initial: zeros });
  }
  return specs;
}
