/** The Mamba-2 mixer. */

import type { ModelConfig } from "../config/config.ts";
import { agreed, describe, type Fields } from "../config/fields.ts";
import { MAX_D_MODEL, MAX_EXPAND } from "../config/limits.ts";
import { dtBias, logarithms, ones, uniformWithin, zeros } from "../initial_values.ts";
import { ssdWidths } from "../ssd_sizes.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";
import {
  defaultHeaddim,
  describeMambaSizes,
  HEADDIM,
  type MambaConfig,
  newMambaConfig,
  parseCommon,
  parseInnerSize,
  parseStateSize,
  toHfFields,
} from "./mamba_fields.ts";
import {
  type BlockConfig,
  type BlockFields,
  type Mixer,
  type NewModel,
  ownNumber,
} from "./mixer.ts";

/** A model of Mamba-2 blocks. */
export interface Mamba2Config extends MambaConfig {
  /** The architecture: Mamba-2. */
  readonly model_type: "mamba2";
  /** Heads: each has one A, and one dt a step. */
  readonly nheads: number;
  /** Channels of a head: d_inner = nheads * headdim. */
  readonly headdim: number;
  /** Groups of heads that share B and C, and of channels that the gated norm takes together. Divides nheads. */
  readonly ngroups: number;
  /** Limits of dt after softplus, both included; the upper one may be Infinity. */
  readonly dt_limit: readonly [number, number];
  /** Whether the gated output is normalized. */
  readonly rmsnorm: boolean;
  /** Whether that norm comes before the gate. */
  readonly norm_before_gate: boolean;
  /** Whether D is of each channel, not of each head. */
  readonly D_has_hdim: boolean;
}

/** Whether a model is one of Mamba-2. */
export function isMamba2(config: ModelConfig): config is Mamba2Config {
  return config.model_type === "mamba2";
}

/** Far above any step of time, and a number that f32 has. */
const LARGEST_DT = 1e30;

/** -A of each head is uniform in this range before training. */
const A_MIN = 1, A_MAX = 16;

/** What describes it. */
export const mamba2: Mixer<Mamba2Config> = {
  name: "mamba2",
  title: "Mamba-2",
  families: [
    {
      model_type: "mamba2",
      title: "Mamba-2",
      architecture: "Mamba2ForCausalLM",
      classes: /^Mamba2(For|Model)/,
      signs: ["num_heads", "head_dim", "n_groups"],
      tied: false,
      eos_token_id: 2,
      // The one published model calls itself "mamba" there.
      mistralNames: ["mamba", "mamba2"],
    },
  ],
  layer: "Mamba2",
  // The last row only matters to new weights.
  settings: [
    ...["layer", "d_state", "d_conv", "expand", "headdim", "d_ssm", "ngroups", "D_has_hdim"],
    ...["rmsnorm", "norm_before_gate", "dt_limit", "bias", "conv_bias", "chunk_size"],
    ...["use_mem_eff_path", "A_init_range", "conv_init", "dt_min", "dt_max", "dt_init_floor"],
  ],
  ownOptions: [HEADDIM],
  parse,

  toHfFields(config) {
    const { nheads, headdim, ngroups, dt_limit: [low, high] } = config;
    const { rmsnorm, norm_before_gate, D_has_hdim } = config;
    if (!rmsnorm || norm_before_gate || D_has_hdim) {
      throw new RangeError(
        `Cannot write config.json: rmsnorm is ${rmsnorm}, norm_before_gate ${norm_before_gate} and D_has_hdim ` +
          `${D_has_hdim}, and the format only has true, false and false`,
      );
    }
    return toHfFields(config, {
      num_heads: nheads,
      head_dim: headdim,
      n_groups: ngroups,
      ...(low === 0 && high === Infinity ? {} : {
        time_step_limit: [low, high === Infinity ? { __float__: "Infinity" } : high],
      }),
    });
  },

  innerWidth: ({ d_inner }) => d_inner,

  elementCounts(config) {
    const { d_model, d_inner, n_layer, d_state, d_conv } = config;
    const { conv_dim, d_in_proj } = ssdWidths(config);
    const state = conv_dim * d_conv + d_inner * d_state;
    return {
      "in_proj.weight [d_inner + conv_dim + nheads, d_model]": d_in_proj * d_model,
      "conv1d.weight [conv_dim, d_conv]": conv_dim * d_conv,
      "the state [n_layer, conv_dim * d_conv + d_inner * d_state]": n_layer * state,
      "out_proj.weight [d_model, d_inner]": d_model * d_inner,
    };
  },

  weightSpecs,

  stateShapes(config) {
    const { nheads, headdim, d_state, d_conv } = config;
    return {
      conv_state: [ssdWidths(config).conv_dim, d_conv],
      ssm_state: [nheads, headdim, d_state],
    };
  },

  describeSizes(config) {
    const { nheads, headdim, ngroups } = config;
    return `${
      describeMambaSizes(config)
    }, nheads = ${nheads}, headdim = ${headdim}, ngroups = ${ngroups}`;
  },

  newConfig,
};

function parse(places: BlockFields): BlockConfig<Mamba2Config> {
  const { dialect, fields, ssm_cfg } = places;
  const d_inner = parseInnerSize(places, "expand");
  const size = (names: readonly (readonly [Fields | undefined, string])[]) =>
    agreed(names, (at, name) => at.integer(name, 1, MAX_D_MODEL * MAX_EXPAND));
  const headdim = size([[fields, "head_dim"], [fields, "headdim"], [ssm_cfg, "headdim"]])?.value ??
    64;
  const heads = size([[fields, "num_heads"], [fields, "nheads"]]);
  if (heads !== undefined && heads.value * headdim !== d_inner) {
    fields.fail(
      `${heads.path} is ${heads.value}, and heads of ${headdim} channels make ` +
        `${heads.value * headdim} of d_inner = ${d_inner}: they must be equal`,
    );
  }
  const nheads = d_inner / headdim;
  if (!Number.isInteger(nheads)) {
    fields.fail(`d_inner is ${d_inner}, and headdim is ${headdim}: it must divide d_inner`);
  }
  const groups = size([[fields, "n_groups"], [fields, "ngroups"], [ssm_cfg, "ngroups"]]);
  const ngroups = groups?.value ?? (dialect === "transformers" ? 8 : 1);
  if (nheads % ngroups !== 0) {
    fields.fail(
      `${groups?.path ?? "n_groups"} is ${ngroups}, and there are ${nheads} heads: ` +
        "groups must share them evenly",
    );
  }
  const d_ssm = ssm_cfg?.value("d_ssm") ?? undefined;
  if (d_ssm !== undefined && d_ssm !== d_inner) {
    fields.fail(
      `ssm_cfg.d_ssm is ${describe(d_ssm)} of d_inner = ${d_inner} (an MLP beside the heads), ` +
        "which this version does not support, expected all",
    );
  }
  // Both are read for their form alone: how long chunks are changes no result, and transformers gates before the norm
  // whatever the field says, which the published Codestral config has wrong.
  size([[fields, "chunk_size"], [ssm_cfg, "chunk_size"]]);
  fields.boolean("norm_before_gate");
  return {
    model_type: "mamba2",
    d_inner,
    d_state: parseStateSize(places, 128),
    nheads,
    headdim,
    ngroups,
    dt_limit: parseDtLimit(places),
    rmsnorm: ssm_cfg?.boolean("rmsnorm") ?? true,
    norm_before_gate: ssm_cfg?.boolean("norm_before_gate") ?? false,
    D_has_hdim: ssm_cfg?.boolean("D_has_hdim") ?? false,
    ...parseCommon(places),
  };
}

/** Two numbers, the second of which is mostly infinite, which JSON has no number for: see {@linkcode toLimit}. */
function parseDtLimit({ fields, ssm_cfg }: BlockFields): readonly [number, number] {
  const places = [[fields, "time_step_limit"], [fields, "dt_limit"], [
    ssm_cfg,
    "dt_limit",
  ]] as const;
  const found = agreed(places, (at, name) => {
    const values = at.array(name);
    if (values === undefined) return undefined;
    const [low, high] = [toLimit(values[0]), toLimit(values[1])];
    if (values.length !== 2 || !(low >= 0 && low <= high && low <= LARGEST_DT)) {
      fields.fail(
        `${at.path(name)} is ${JSON.stringify(values).slice(0, 60)}, ` +
          `expected two numbers from 0 to ${LARGEST_DT}, the smaller one first`,
      );
    }
    // As text, so that two of them can be compared.
    return `${low} ${high}`;
  });
  const [low = 0, high = Infinity] = found?.value.split(" ").map(Number) ?? [];
  return [low, high];
}

/** A number; infinity also as text, as transformers 5 writes it (`{"__float__": "Infinity"}`), or null. */
function toLimit(value: unknown): number {
  if (typeof value === "number") return value;
  if (value === null) return Infinity;
  const text = typeof value === "object" && value !== undefined && "__float__" in value
    ? value.__float__
    : value;
  return text === "Infinity" || text === "inf" ? Infinity : NaN;
}

function weightSpecs(config: Mamba2Config): WeightSpec[] {
  const { d_model, n_layer, d_inner, d_conv, nheads, use_bias, use_conv_bias } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const inputs = (count: number) => uniformWithin(1 / Math.sqrt(count));
  const specs: WeightSpec[] = [
    {
      name: "in_proj.weight",
      shape: [d_in_proj, d_model],
      kind: "matrix",
      initial: inputs(d_model),
    },
    {
      name: "conv1d.weight",
      shape: [conv_dim, 1, d_conv],
      kind: "vector",
      decays: true,
      // A channel's convolution has d_conv inputs. Its bias keeps PyTorch's default; those of linear layers are 0.
      initial: inputs(d_conv),
    },
    { name: "dt_bias", shape: [nheads], kind: "vector", initial: dtBias },
    {
      name: "A_log",
      shape: [nheads],
      kind: "vector",
      initial: logarithms((_, random) => A_MIN + (A_MAX - A_MIN) * random()),
    },
    {
      name: "D",
      shape: [config.D_has_hdim ? d_inner : nheads],
      kind: "vector",
      initial: ones,
    },
    {
      name: "out_proj.weight",
      shape: [d_model, d_inner],
      kind: "matrix",
      // Each block adds to the residual stream: without this its variance would grow with n_layer.
      initial: inputs(d_inner * n_layer),
    },
  ];
  if (config.rmsnorm) {
    specs.push({ name: "norm.weight", shape: [d_inner], kind: "vector", initial: ones });
  }
  if (use_conv_bias) {
    const initial = inputs(d_conv);
    specs.push({ name: "conv1d.bias", shape: [conv_dim], kind: "vector", initial });
  }
  if (use_bias) {
    specs.push({ name: "in_proj.bias", shape: [d_in_proj], kind: "vector", initial: zeros });
    specs.push({ name: "out_proj.bias", shape: [d_model], kind: "vector", initial: zeros });
  }
  return specs;
}

function newConfig(model: NewModel): Mamba2Config {
  const common = newMambaConfig(model);
  const { d_inner } = common;
  const headdim = ownNumber(model, "headdim") ?? defaultHeaddim(d_inner);
  if (Number.isInteger(d_inner) && d_inner % headdim !== 0) {
    throw new RangeError(
      `Cannot train: headdim is ${headdim}, and a block has ${d_inner} channels, not a multiple of it`,
    );
  }
  return {
    ...common,
    model_type: "mamba2",
    headdim,
    nheads: d_inner / headdim,
    ngroups: 1,
    dt_limit: [0, Infinity],
    rmsnorm: true,
    norm_before_gate: false,
    D_has_hdim: false,
  };
}
