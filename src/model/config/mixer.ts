/** The fields of a config.json that say what is inside the blocks, read and written. */

import type { CommonConfig, Mamba1Config, Mamba2Config, ModelConfig } from "./config.ts";
import type { Family } from "./family.ts";
import { agreed, describe, type Fields, type Setting } from "./fields.ts";
import { MAX_D_MODEL, MAX_D_STATE, MAX_EXPAND } from "./limits.ts";

/** Far above any step of time, and a number that f32 has. */
const LARGEST_DT = 1e30;

/** Where the fields of one config.json are found. */
interface Places {
  readonly fields: Fields;
  readonly ssm_cfg: Fields | undefined;
  readonly d_model: Setting<number>;
}

/** Sizes of a mixer beside those of {@linkcode CommonConfig} that both kinds find in the same way. */
type MixerSizes =
  | Pick<Mamba1Config, "model_type" | "d_inner" | "d_state" | "dt_rank" | "mixer_rms_eps">
  | Pick<
    Mamba2Config,
    | ("model_type" | "d_inner" | "d_state" | "nheads" | "headdim" | "ngroups")
    | ("dt_limit" | "rmsnorm" | "norm_before_gate" | "D_has_hdim")
  >;

/**
 * Reads the sizes of the mixer.
 *
 * @throws {ConfigError} Where a field is wrong, or two contradict each other.
 */
export function parseMixer(family: Family, places: Places): MixerSizes {
  return family.model_type === "mamba2"
    ? parseMamba2(family, places)
    : parseMamba1(family.model_type, places);
}

function parseMamba1(
  model_type: Mamba1Config["model_type"],
  places: Places,
): MixerSizes {
  const { fields, ssm_cfg, d_model } = places;
  const automaticRank = Math.ceil(d_model.value / 16);
  const dt_rank = agreed(
    [[fields, "time_step_rank"], [fields, "dt_rank"], [ssm_cfg, "dt_rank"]],
    (at, name) => at.value(name) === "auto" ? automaticRank : at.integer(name, 1, MAX_D_MODEL),
  )?.value ?? automaticRank;
  const sizes = { d_state: parseStateSize(places) ?? 16, dt_rank };
  if (model_type === "mamba") {
    return { model_type, d_inner: parseInnerSize(places), ...sizes };
  }
  return {
    model_type,
    // The published model's `expand` is wrong; transformers, too, believes intermediate_size.
    d_inner: statedInnerSize(places)?.value ?? parseInnerSize(places),
    ...sizes,
    mixer_rms_eps: fields.positive("mixer_rms_eps", 1) ?? 1e-6,
  };
}

function parseMamba2({ dialect }: Family, places: Places): MixerSizes {
  const { fields, ssm_cfg } = places;
  const d_inner = parseInnerSize(places);
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
    d_state: parseStateSize(places) ?? 128,
    nheads,
    headdim,
    ngroups,
    dt_limit: parseDtLimit(places),
    rmsnorm: ssm_cfg?.boolean("rmsnorm") ?? true,
    norm_before_gate: ssm_cfg?.boolean("norm_before_gate") ?? false,
    D_has_hdim: ssm_cfg?.boolean("D_has_hdim") ?? false,
  };
}

function parseStateSize({ fields, ssm_cfg }: Places): number | undefined {
  return agreed(
    [[fields, "state_size"], [fields, "d_state"], [ssm_cfg, "d_state"]],
    (at, name) => at.integer(name, 1, MAX_D_STATE),
  )?.value;
}

function statedInnerSize({ fields }: Places): Setting<number> | undefined {
  return agreed(
    [[fields, "intermediate_size"], [fields, "d_inner"]],
    (at, name) => at.integer(name, 1, MAX_D_MODEL * MAX_EXPAND),
  );
}

/** `expand` times d_model, or the size itself; where both are there they must agree. */
function parseInnerSize(places: Places): number {
  const { fields, ssm_cfg, d_model } = places;
  const expand = agreed(
    [[fields, "expand"], [ssm_cfg, "expand"]],
    (at, name) => at.integer(name, 1, MAX_EXPAND),
  );
  const d_inner = statedInnerSize(places);
  const product = (expand?.value ?? 2) * d_model.value;
  if (d_inner !== undefined && expand !== undefined && d_inner.value !== product) {
    fields.fail(
      `${d_inner.path} is ${d_inner.value}, and ${expand.path} * ${d_model.path} is ` +
        `${expand.value} * ${d_model.value} = ${product}: they must be equal`,
    );
  }
  return d_inner?.value ?? product;
}

/** Two numbers, the second of which is mostly infinite, which JSON has no number for: see {@linkcode toLimit}. */
function parseDtLimit({ fields, ssm_cfg }: Places): readonly [number, number] {
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

/**
 * The fields of a mixer as `transformers` names them.
 *
 * @throws {RangeError} If the mixer has a setting that `transformers` has not.
 */
export function mixerHfFields(config: ModelConfig): Record<string, unknown> {
  const common = {
    state_size: config.d_state,
    ...innerSizeFields(config),
  };
  if (config.model_type !== "mamba2") {
    const { dt_rank, mixer_rms_eps } = config;
    return {
      ...common,
      time_step_rank: dt_rank,
      ...(mixer_rms_eps === undefined ? {} : { mixer_rms_eps }),
    };
  }
  const { nheads, headdim, ngroups, dt_limit: [low, high] } = config;
  const { rmsnorm, norm_before_gate, D_has_hdim } = config;
  if (!rmsnorm || norm_before_gate || D_has_hdim) {
    throw new RangeError(
      `Cannot write config.json: rmsnorm is ${rmsnorm}, norm_before_gate ${norm_before_gate} and D_has_hdim ` +
        `${D_has_hdim}, and the format only has true, false and false`,
    );
  }
  return {
    ...common,
    num_heads: nheads,
    head_dim: headdim,
    n_groups: ngroups,
    ...(low === 0 && high === Infinity ? {} : {
      time_step_limit: [low, high === Infinity ? { __float__: "Infinity" } : high],
    }),
  };
}

function innerSizeFields({ d_inner, d_model }: CommonConfig): Record<string, number> {
  const expand = d_inner / d_model;
  // A reader without intermediate_size could make nothing of a fraction.
  const isWhole = Number.isInteger(expand) && expand <= MAX_EXPAND;
  return { intermediate_size: d_inner, ...(isWhole ? { expand } : {}) };
}
