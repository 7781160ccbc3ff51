/** The gated MLP that may be the second half of a block. */

import type { ModelConfig } from "../config/config.ts";
import { uniformWithin } from "../initial_values.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";
import type { BlockPart } from "./mixer.ts";

/** A model with an MLP in each block. */
export interface MlpConfig extends ModelConfig {
  /** Channels inside the MLP: 0 where there is none. */
  readonly d_intermediate: number;
}

/** What the official code rounds its width up to a multiple of. */
const WIDTH_STEP = 128;

/** The width that a config's is rounded up to. */
export function mlpWidth(d_intermediate: number): number {
  return Math.ceil(d_intermediate / WIDTH_STEP) * WIDTH_STEP;
}

/** fc2(y silu(gate)), with y and gate the two halves of fc1's output. */
export const mlp: BlockPart<MlpConfig> = {
  name: "mlp",

  weightSpecs({ d_model, n_layer, d_intermediate }): WeightSpec[] {
    return [
      {
        name: "fc1.weight",
        shape: [2 * d_intermediate, d_model],
        kind: "matrix",
        initial: uniformWithin(1 / Math.sqrt(d_model)),
      },
      {
        name: "fc2.weight",
        shape: [d_model, d_intermediate],
        kind: "matrix",
        // Two halves of each block add to the residual stream: see the mixers' out_proj.
        initial: uniformWithin(1 / Math.sqrt(d_intermediate * 2 * n_layer)),
      },
    ];
  },

  stateShapes: () => ({}),
};
