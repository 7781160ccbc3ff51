/** The Mamba-3 mixer (arXiv 2603.15569): with one input and output of each channel a step, or several (MIMO). */

import type { ModelConfig } from "../config/config.ts";
import { agreed, type Fields } from "../config/fields.ts";
import { MAX_D_MODEL, MAX_EXPAND } from "../config/limits.ts";
import { dtBias, ones, uniformWithin } from "../initial_values.ts";
import {
  A_ACTIVATIONS,
  type Mamba3Options,
  type Mamba3Sizes,
  mamba3Widths,
  ropeAngles,
} from "../mamba3_sizes.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";
import {
  defaultHeaddim,
  HEADDIM,
  innerSizeFields,
  parseInnerSize,
  parseStateSize,
} from "./mamba_fields.ts";
import {
  type BlockConfig,
  type BlockFields,
  type Mixer,
  type NewModel,
  ownNumber,
} from "./mixer.ts";
import { mlp, type MlpConfig, mlpWidth } from "./mlp.ts";

/** A model of Mamba-3 blocks. */
export interface Mamba3Config extends MlpConfig, Mamba3Sizes, Mamba3Options {
  /** The architecture: Mamba-3. */
  readonly model_type: "mamba3";
  /** Channels inside a block: nheads * headdim. */
  readonly d_inner: number;
  /** Share of d_state that is rotated: 0.5 or 1. */
  readonly rope_fraction: number;
  /** Whether a head's output is normalized before the gate. */
  readonly is_outproj_norm: boolean;
}

/** Whether a model is one of Mamba-3. */
export function isMamba3(config: ModelConfig): config is Mamba3Config {
  return config.model_type === "mamba3";
}

/** More than any published model's; kernels keep sums of this many squared. */
const MAX_MIMO_RANK = 16;

/** What describes it. */
export const mamba3: Mixer<Mamba3Config> = {
  name: "mamba3",
  title: "Mamba-3",
  families: [
    {
      model_type: "mamba3",
      title: "Mamba-3",
      architecture: "Mamba3ForCausalLM",
      classes: /^Mamba3(For|Model)/,
      signs: ["rope_fraction"],
      tied: true,
      eos_token_id: 128001,
    },
  ],
  layer: "Mamba3",
  // The last row only matters to new weights, or to how the official kernels go about it.
  settings: [
    ...["layer", "d_state", "expand", "headdim", "ngroups", "rope_fraction", "is_mimo"],
    ...["mimo_rank", "is_outproj_norm", "A_floor", "A_activation"],
    ...["dt_min", "dt_max", "dt_init_floor", "chunk_size"],
  ],
  ownOptions: [
    HEADDIM,
    {
      name: "d_intermediate",
      help: "Channels of Mamba-3's MLP, rounded up to 128s; 0 for none (default: twice d-model)",
    },
    { name: "mimo_rank", help: "Inputs of a channel of Mamba-3 in one step (default: 1)" },
  ],
  choices: { A_activation: A_ACTIVATIONS },
  mlp: ({ d_intermediate }) => d_intermediate > 0 ? mlp : undefined,
  parse,

  toHfFields(config) {
    return {
      state_size: config.d_state,
      ...innerSizeFields(config),
      num_heads: config.nheads,
      head_dim: config.headdim,
      n_groups: config.ngroups,
      rope_fraction: config.rope_fraction,
      is_mimo: config.is_mimo,
      mimo_rank: config.mimo_rank,
      is_outproj_norm: config.is_outproj_norm,
      A_activation: config.A_activation,
      A_floor: config.A_floor,
      mlp_intermediate_size: config.d_intermediate,
      layer_norm_epsilon: config.norm_epsilon,
    };
  },

  innerWidth: ({ d_inner }) => d_inner,

  elementCounts(config) {
    const { d_model, d_inner, n_layer, d_state, d_intermediate } = config;
    const state = Object.values(stateShapes(config)).reduce(
      (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    );
    return {
      "in_proj.weight [d_in_proj, d_model]": mamba3Widths(config).d_in_proj * d_model,
      "B_bias [nheads, mimo_rank, d_state]": config.nheads * config.mimo_rank * d_state,
      "the state [n_layer, theta, ssm_state, k and v]": n_layer * state,
      "out_proj.weight [d_model, d_inner]": d_model * d_inner,
      "fc1.weight [2 * d_intermediate, d_model]": 2 * d_intermediate * d_model,
    };
  },

  weightSpecs,
  stateShapes,

  describeSizes(config) {
    const { d_model, d_inner, d_state, nheads, headdim, ngroups } = config;
    const { mimo_rank, num_rope_angles, d_intermediate } = config;
    return `d_model = ${d_model}, d_inner = ${d_inner}, d_state = ${d_state}, nheads = ${nheads}, ` +
      `headdim = ${headdim}, ngroups = ${ngroups}, mimo_rank = ${mimo_rank}, ` +
      `${num_rope_angles} angles, d_intermediate = ${d_intermediate}`;
  },

  newConfig,
};

/** k is rotated as it was stored; v is x, before what MIMO multiplies it by. */
function stateShapes(
  { nheads, headdim, d_state, mimo_rank, num_rope_angles }: Mamba3Config,
): Readonly<Record<"theta" | "ssm_state" | "k" | "v", readonly number[]>> {
  return {
    theta: [nheads, num_rope_angles],
    ssm_state: [nheads, headdim, d_state],
    k: [mimo_rank, nheads, d_state],
    v: [nheads, headdim],
  };
}

function parse(places: BlockFields): BlockConfig<Mamba3Config> {
  const { dialect, fields, ssm_cfg, d_model, n_layer, norm_epsilon } = places;
  const own = (name: string) => [[fields, name], [ssm_cfg, name]] as const;
  const boolean = (name: string) => agreed(own(name), (at, each) => at.boolean(each))?.value;
  const size = (names: readonly (readonly [Fields | undefined, string])[]) =>
    agreed(names, (at, name) => at.integer(name, 1, MAX_D_MODEL * MAX_EXPAND));
  const d_inner = parseInnerSize(places, "expand");
  const headdim = size([[fields, "head_dim"], ...own("headdim")])?.value ?? 64;
  const nheads = d_inner / headdim;
  if (!Number.isInteger(nheads)) {
    fields.fail(`d_inner is ${d_inner}, and headdim is ${headdim}: it must divide d_inner`);
  }
  const heads = size([[fields, "num_heads"], [fields, "nheads"]]);
  if (heads !== undefined && heads.value !== nheads) {
    fields.fail(
      `${heads.path} is ${heads.value}, and d_inner = ${d_inner} has ${nheads} heads of ${headdim} channels`,
    );
  }
  const groups = size([[fields, "n_groups"], ...own("ngroups")]);
  const ngroups = groups?.value ?? 1;
  if (nheads % ngroups !== 0) {
    fields.fail(
      `${groups?.path ?? "ngroups"} is ${ngroups}, and there are ${nheads} heads: ` +
        "groups must share them evenly",
    );
  }
  const d_state = parseStateSize(places, 128);
  if (d_state % 2 !== 0) {
    fields.fail(`d_state is ${d_state}, expected an even number: lanes are rotated in pairs`);
  }
  const rope_fraction = agreed(own("rope_fraction"), (at, name) => at.positive(name, 1))?.value ??
    0.5;
  if (rope_fraction !== 0.5 && rope_fraction !== 1) {
    fields.fail(`rope_fraction is ${rope_fraction}, expected 0.5 or 1`);
  }
  const is_mimo = boolean("is_mimo") ?? false;
  const rank = agreed(own("mimo_rank"), (at, name) => at.integer(name, 1, MAX_MIMO_RANK));
  // The official code has a default for it, and takes 1 where is_mimo is false.
  const mimo_rank = is_mimo ? rank?.value ?? 4 : 1;
  // How long chunks are changes no result.
  size(own("chunk_size"));
  const wide = dialect === "transformers" ? "mlp_intermediate_size" : "d_intermediate";
  return {
    model_type: "mamba3",
    ...{ d_model: d_model.value, n_layer, d_inner, d_state, nheads, headdim, ngroups },
    rope_fraction,
    num_rope_angles: ropeAngles(d_state, rope_fraction),
    is_mimo,
    mimo_rank,
    is_outproj_norm: boolean("is_outproj_norm") ?? false,
    // The weights of July 2026 came out beside code of the heavy tail; the paper's is softplus.
    A_activation: agreed(own("A_activation"), (at, name) => at.word(name, A_ACTIVATIONS))?.value ??
      "heavy_tail",
    A_floor: agreed(own("A_floor"), (at, name) => at.positive(name, 1))?.value ?? 1e-4,
    d_intermediate: mlpWidth(fields.integer(wide, 0, MAX_D_MODEL * MAX_EXPAND) ?? 0),
    norm_epsilon,
  };
}

function weightSpecs(config: Mamba3Config): WeightSpec[] {
  const { d_model, n_layer, d_inner, d_state, nheads, headdim, mimo_rank } = config;
  const inputs = (count: number) => uniformWithin(1 / Math.sqrt(count));
  const vector = (
    name: string,
    shape: readonly number[],
    initial: WeightSpec["initial"] = ones,
  ): WeightSpec => ({ name, shape, kind: "vector", initial });
  const rows = [nheads, mimo_rank, headdim];
  const share: WeightSpec["initial"] = (_, length) => new Float32Array(length).fill(1 / mimo_rank);
  // Each half of a block adds to the residual stream: without this its variance would grow with their number.
  const adding = n_layer * (config.d_intermediate > 0 ? 2 : 1);
  const { d_in_proj } = mamba3Widths(config);
  return [
    {
      name: "in_proj.weight",
      shape: [d_in_proj, d_model],
      kind: "matrix",
      initial: inputs(d_model),
    },
    vector("dt_bias", [nheads], dtBias),
    vector("B_bias", [nheads, mimo_rank, d_state]),
    vector("C_bias", [nheads, mimo_rank, d_state]),
    vector("B_norm.weight", [d_state]),
    vector("C_norm.weight", [d_state]),
    vector("D", [nheads]),
    ...(config.is_mimo
      ? [vector("mimo_x", rows, share), vector("mimo_z", rows), vector("mimo_o", rows, share)]
      : []),
    ...(config.is_outproj_norm ? [vector("norm.weight", [d_inner])] : []),
    {
      name: "out_proj.weight",
      shape: [d_model, d_inner],
      kind: "matrix",
      initial: inputs(d_inner * adding),
    },
  ];
}

function newConfig(model: NewModel): Mamba3Config {
  const { expand, d_conv: _, own: _own, ...rest } = model;
  const { d_model, d_state } = model;
  const d_inner = expand * d_model;
  const mimo_rank = ownNumber(model, "mimo_rank") ?? 1;
  const headdim = ownNumber(model, "headdim") ?? defaultHeaddim(d_inner);
  const d_intermediate = ownNumber(model, "d_intermediate") ?? 2 * d_model;
  if (Number.isInteger(d_inner) && d_inner % headdim !== 0) {
    throw new RangeError(
      `Cannot train: headdim is ${headdim}, and a block has ${d_inner} channels, not a multiple of it`,
    );
  }
  return {
    ...rest,
    model_type: "mamba3",
    ...{ d_inner, headdim, nheads: d_inner / headdim, ngroups: 1 },
    rope_fraction: 0.5,
    num_rope_angles: ropeAngles(d_state, 0.5),
    is_mimo: mimo_rank > 1,
    mimo_rank,
    is_outproj_norm: false,
    A_activation: "heavy_tail",
    A_floor: 1e-4,
    d_intermediate: mlpWidth(d_intermediate),
  };
}
