/** S4: a state space of its own for each channel, whose matrix is diagonal but for a term of rank one (Gu, Goel & Re 2022). */

import { hippoPairs } from "./hippo.ts";
import {
  commonSpecs,
  describeS4,
  MODE,
  newS4Config,
  ofPairs,
  parseS4,
  type S4Config,
  s4Fields,
  slowVector,
} from "./s4_fields.ts";
import type { Mixer } from "./mixer.ts";

/** A model of S4 blocks. */
export interface S4DPLRConfig extends S4Config {
  readonly model_type: "s4";
}

/** What describes it. */
export const s4: Mixer<S4DPLRConfig> = {
  ...describeS4("S4", true),
  ownOptions: [MODE],

  parse: (places) => ({ model_type: "s4", ...parseS4(places) }),
  toHfFields: s4Fields,

  weightSpecs(config) {
    const { d_model, d_state } = config;
    const pairs = d_state / 2;
    // Computed when values are asked for, and not wherever shapes are.
    const pair = (n: number) => hippoPairs(d_state)[n] ?? { Lambda: [], P: [], B: [] };
    const parts = (name: "P" | "B") =>
      ofPairs(d_model, (row) => pair(Math.floor(row / 2))[name][row % 2] ?? NaN);
    return [
      slowVector("Lambda_re", [pairs, d_model], ofPairs(d_model, (n) => pair(n).Lambda[0] ?? NaN)),
      slowVector("Lambda_im", [pairs, d_model], ofPairs(d_model, (n) => pair(n).Lambda[1] ?? NaN)),
      slowVector("P", [pairs, 2, d_model], parts("P")),
      slowVector("B", [pairs, 2, d_model], parts("B")),
      ...commonSpecs(config),
    ];
  },

  newConfig: (model) => ({ ...newS4Config(model), model_type: "s4" }),
};
