/** A step of Mamba-2 in one dispatch. */

import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import { dtLimits } from "../../model/ssd_sizes.ts";
import { boardWords } from "../../ops/step.ts";
import { stepMamba2Kernel } from "../../ops/step_mamba2.ts";
import type { Mamba2Weights } from "../../passes/mixers/mamba2.ts";
import type { HalfWeights, ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { findPlaces, type Placed, PlacesError } from "./places.ts";
import { commonPlan, endsOf, type StepPlan, type StepTuning } from "./plan.ts";

function placed({ norm, part }: HalfWeights<WebGpuKinds, Mamba2Weights<WebGpuKinds>>) {
  return {
    AT_NORM: norm,
    AT_IN: part.in_proj,
    AT_IN_BIAS: part.in_proj_bias,
    AT_CONV: part.conv1d,
    AT_CONV_BIAS: part.conv1d_bias,
    AT_DT_BIAS: part.dt_bias,
    AT_A_LOG: part.A_log,
    AT_D: part.D,
    AT_OUT_NORM: part.norm,
    AT_OUT: part.out_proj,
    AT_OUT_BIAS: part.out_proj_bias,
  } satisfies Record<string, Placed>;
}

/**
 * What the kernel is told.
 *
 * @throws {PlacesError} If it cannot have the weights, or the norm after the gate is not of all channels together.
 */
export function planMamba2(
  config: Mamba2Config,
  weights: ModelWeights<WebGpuKinds>,
  tuning: StepTuning,
): StepPlan {
  const { nheads, headdim, ngroups, d_state, rmsnorm, norm_before_gate, dt_limit } = config;
  if (rmsnorm && (ngroups > 1 || norm_before_gate)) {
    throw new PlacesError(
      norm_before_gate
        ? "the norm comes before the gate"
        : `channels are normalized in ${ngroups} groups, and the kernel takes them together`,
    );
  }
  const halves = weights.halves as readonly HalfWeights<WebGpuKinds, Mamba2Weights<WebGpuKinds>>[];
  const places = findPlaces(endsOf(weights), halves.map(placed));
  const rest = 2 * ngroups * d_state + nheads;
  const plan = commonPlan(config, weights, places, {
    matrices: halves.flatMap(({ part }) => [part.in_proj, part.out_proj]),
    outNorm: rmsnorm,
    exchangeWords: boardWords(rest),
    // B, C and dt, and what conv1d leaves of each group's share of them.
    memoryWords: 3 * rest,
    restRows: rest,
  }, tuning);
  return {
    ...plan,
    kernel: stepMamba2Kernel,
    overrides: {
      ...plan.overrides,
      ...{ NHEADS: nheads, HEADDIM: headdim, NGROUPS: ngroups, D_HAS_HDIM: config.D_has_hdim },
      ...dtLimits(dt_limit),
    },
  };
}
