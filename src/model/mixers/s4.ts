/** S4: a state space of its own for each channel, whose matrix is diagonal but for a term of rank one (Gu, Goel & Re 2022). */

import { hippoPairs } from "./hippo.ts";
import {
  commonSpecs,
  describeS4Sizes,
  newS4Config,
  ofPairs,
  parseS4,
  S4_MODES,
  type S4Config,
  s4ElementCounts,
  s4Fields,
  s4StateShapes,
  slowVector,
} from "./s4_fields.ts";
import type { Mixer } from "./mixer.ts";

/** A model of S4 blocks. */
export interface S4DPLRConfig extends S4Config {
  readonly model_type: "s4";
}

/** What describes it. */
export const s4: Mixer<S4DPLRConfig> = {
  name: "s4",
  title: "S4",
  families: [
    {
      model_type: "s4",
      title: "S4",
      architecture: "S4ForCausalLM",
      classes: /^S4(For|Model)/,
      signs: [],
      tied: false,
      eos_token_id: 0,
    },
  ],
  settings: [],
  ownSizes: ["mode"],
  choices: { mode: S4_MODES },
  activations: ["gelu_pytorch_tanh"],
  usualSizes: { d_state: 64 },

  parse: (places) => ({ model_type: "s4", ...parseS4(places) }),
  toHfFields: s4Fields,
  elementCounts: (config) => s4ElementCounts(config, true),
  stateShapes: s4StateShapes,
  describeSizes: describeS4Sizes,

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

  newConfig: ({ init: _init, ...model }) => ({ ...newS4Config(model), model_type: "s4" }),
};
