/** A step of Mamba-1 in one dispatch. */

import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import { W_DTYPE } from "../../ops/matrix.ts";
import { boardWords } from "../../ops/step.ts";
import { stepMamba1Kernel } from "../../ops/step_mamba1.ts";
import type { Mamba1Weights } from "../../passes/mixers/mamba1.ts";
import type { HalfWeights, ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { findPlaces, type Placed } from "./places.ts";
import {
  commonPlan,
  dtypeOf,
  endsOf,
  rowChunks,
  type StepPlan,
  type StepTuning,
  tilingOverrides,
} from "./plan.ts";

function placed({ norm, part }: HalfWeights<WebGpuKinds, Mamba1Weights<WebGpuKinds>>) {
  return {
    AT_NORM: norm,
    AT_IN: part.in_proj,
    AT_IN_BIAS: part.in_proj_bias,
    AT_CONV: part.conv1d,
    AT_CONV_BIAS: part.conv1d_bias,
    AT_X: part.x_proj,
    AT_DT: part.dt_proj,
    AT_DT_BIAS: part.dt_proj_bias,
    AT_A_LOG: part.A_log,
    AT_D: part.D,
    AT_OUT: part.out_proj,
    AT_OUT_BIAS: part.out_proj_bias,
  } satisfies Record<string, Placed>;
}

/**
 * What the kernel is told.
 *
 * @throws {PlacesError} If it cannot have the weights.
 */
export function planMamba1(
  config: Mamba1Config,
  weights: ModelWeights<WebGpuKinds>,
  tuning: StepTuning,
): StepPlan {
  const halves = weights.halves as readonly HalfWeights<WebGpuKinds, Mamba1Weights<WebGpuKinds>>[];
  const parts = halves.map(({ part }) => part);
  const places = findPlaces(endsOf(weights), halves.map(placed));
  const rows = config.dt_rank + 2 * config.d_state;
  const plan = commonPlan(config, weights, places, {
    matrices: parts.flatMap(({ in_proj, x_proj, out_proj }) => [in_proj, x_proj, out_proj]),
    outNorm: false,
    exchangeWords: boardWords(config.d_inner) + boardWords(rows),
    memoryWords: rows + 4,
    restRows: 0,
  }, tuning);
  return {
    ...plan,
    kernel: stepMamba1Kernel,
    overrides: {
      ...plan.overrides,
      ...tilingOverrides("X", {
        rows: Math.ceil(rows / plan.groups),
        chunks: rowChunks(config.d_inner, dtypeOf(parts.map(({ x_proj }) => x_proj))),
        lanes: plan.lanes,
      }),
      DT_RANK: config.dt_rank,
      DT_BC_EPS: config.mixer_rms_eps ?? 0,
      DT_DTYPE: W_DTYPE[dtypeOf(parts.map(({ dt_proj }) => dt_proj))],
    },
  };
}
