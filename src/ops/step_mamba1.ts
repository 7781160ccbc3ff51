/** step_mamba1: whole steps of a Mamba-1 model in one dispatch. */

import source from "../../kernels/step_mamba1.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { boardWords, STEP_BINDINGS, STEP_OVERRIDES, STEP_PRELUDES, stepSizes } from "./step.ts";

/** The kernel. */
export const stepMamba1Kernel = defineKernel({
  name: "step_mamba1",
  source,
  preludes: ["_states", ...STEP_PRELUDES],
  bindings: STEP_BINDINGS,
  params: {},
  overrides: [
    ...STEP_OVERRIDES,
    "DT_RANK",
    "DT_BC_EPS",
    "DT_DTYPE",
    "X_LANE_ROWS",
    "X_TURNS",
    "AT_X",
    "AT_DT",
  ],
  sizes: (values) =>
    stepSizes(values, boardWords(values.D_INNER) + boardWords(values.DT_RANK + 2 * values.D_STATE)),
});
