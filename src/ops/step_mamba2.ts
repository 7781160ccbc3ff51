/** step_mamba2: whole steps of a Mamba-2 model in one dispatch. */

import source from "../../kernels/step_mamba2.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { boardWords, STEP_BINDINGS, STEP_OVERRIDES, STEP_PRELUDES, stepSizes } from "./step.ts";

/** The kernel. */
export const stepMamba2Kernel = defineKernel({
  name: "step_mamba2",
  source,
  preludes: STEP_PRELUDES,
  bindings: STEP_BINDINGS,
  params: {},
  overrides: [
    ...STEP_OVERRIDES,
    "NHEADS",
    "HEADDIM",
    "NGROUPS",
    "DT_MIN",
    "DT_MAX",
    "D_HAS_HDIM",
  ],
  sizes: (values) =>
    stepSizes(values, boardWords(2 * values.NGROUPS * values.D_STATE + values.NHEADS)),
});
