/** S4D: a state space of its own for each channel, whose matrix is diagonal (Gu et al. 2022). */

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
import { type Mixer, ownWord } from "./mixer.ts";

/** Which imaginary parts new weights begin with: S4D-Lin's, or S4D-Inv's. */
export type S4DInit = "lin" | "inv";

/** A model of S4D blocks. */
export interface S4DConfig extends S4Config {
  /** The architecture: S4D. */
  readonly model_type: "s4d";
  /** What new weights begin with. */
  readonly init: S4DInit;
}

/** Both. */
export const S4D_INITS: readonly S4DInit[] = ["lin", "inv"];

/** What describes it. */
export const s4d: Mixer<S4DConfig> = {
  ...describeS4("S4D", false),
  ownOptions: [
    MODE,
    {
      name: "init",
      help: "Rates that S4D begins with: lin or inv (default: lin)",
      words: S4D_INITS,
    },
  ],

  parse: (places) => ({
    model_type: "s4d",
    ...parseS4(places),
    init: places.fields.word("init", S4D_INITS) ?? "lin",
  }),
  toHfFields: (config) => ({ ...s4Fields(config), init: config.init }),

  weightSpecs(config) {
    const { d_model, d_state, init } = config;
    const shape = [d_state / 2, d_model];
    const imaginary = (n: number) =>
      init === "lin" ? Math.PI * n : d_state / Math.PI * (d_state / (2 * n + 1) - 1);
    return [
      slowVector("A_re", shape, ofPairs(d_model, () => -0.5)),
      slowVector("A_im", shape, ofPairs(d_model, imaginary)),
      ...commonSpecs(config),
    ];
  },

  newConfig: (model) => ({
    ...newS4Config(model),
    model_type: "s4d",
    init: ownWord(model, "init", S4D_INITS) ?? "lin",
  }),
};
