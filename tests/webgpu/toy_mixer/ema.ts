/** A mixer that is no more than an exponential moving average of each channel: one weight, one piece of state. */

import type { ModelConfig } from "../../../src/model/config/config.ts";
import { uniformWithin } from "../../../src/model/initial_values.ts";
import type { Mixer } from "../../../src/model/mixers/mixer.ts";

/** A model of such blocks. */
export interface EmaConfig extends ModelConfig {
  readonly model_type: "ema";
}

/** What describes it. */
export const ema: Mixer<EmaConfig> = {
  name: "ema",
  title: "EMA",
  families: [{
    model_type: "ema",
    title: "EMA",
    architecture: "EmaForCausalLM",
    classes: /^Ema(For|Model)/,
    signs: [],
    tied: true,
    eos_token_id: 0,
  }],
  settings: [],
  ownOptions: [],
  parse({ d_model, n_layer, norm_epsilon }) {
    return { model_type: "ema", d_model: d_model.value, n_layer, norm_epsilon };
  },
  toHfFields({ norm_epsilon }) {
    return { layer_norm_epsilon: norm_epsilon };
  },
  elementCounts({ n_layer, d_model }) {
    return { "the state [n_layer, d_model]": n_layer * d_model };
  },
  weightSpecs({ d_model }) {
    return [{ name: "decay", shape: [d_model], kind: "vector", initial: uniformWithin(3) }];
  },
  stateShapes({ d_model }) {
    return { average: [d_model] };
  },
  describeSizes({ d_model }) {
    return `d_model = ${d_model}`;
  },
  newConfig({ d_state: _state, d_conv: _conv, expand: _expand, own: _own, ...model }) {
    return { ...model, model_type: "ema" };
  },
};
