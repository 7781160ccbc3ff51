/** What S4D and S4 have in common: fields of a config.json, which are of this project, and the block around the layer. */

import type { ModelConfig } from "../config/config.ts";
import { MAX_D_STATE } from "../config/limits.ts";
import { type InitialValues, normalOf, uniformWithin, zeros } from "../initial_values.ts";
import { uniform } from "../random.ts";
import { tableSize } from "../s4_sizes.ts";
import type { WeightSpec } from "../weights/weight_specs.ts";
import {
  type BlockConfig,
  type BlockFields,
  type Mixer,
  type NewModel,
  type OwnOption,
  ownWord,
} from "./mixer.ts";
import { s4Kernels } from "./s4_kernel.ts";

/**
 * How a sequence goes through the layers: by convolution, chunk by chunk, or step by step. Both give the same but for
 * rounding, and go on from any state of the other.
 */
export type S4Mode = "conv" | "recurrent";

/** The modes. */
export const S4_MODES: readonly S4Mode[] = ["conv", "recurrent"];

/** The option of both. */
export const MODE: OwnOption = {
  name: "mode",
  help: "S4D and S4 by conv or recurrent (default: conv)",
  words: S4_MODES,
};

/** A model of S4D or S4 blocks. */
export interface S4Config extends ModelConfig {
  /** The architecture: S4D, or S4. */
  readonly model_type: "s4d" | "s4";
  /** Real states of each channel: half as many complex ones, each of which stands for itself and its conjugate. */
  readonly d_state: number;
  /** How sequences go through the model; a single step always goes by itself. */
  readonly mode: S4Mode;
}

/** Whether a model is one of S4D or S4. */
export function isS4(config: ModelConfig): config is S4Config {
  return config.model_type === "s4d" || config.model_type === "s4";
}

/** The longest chunk of an executor, for what a table at most takes. */
const LONGEST_CHUNK = 64;

/** The rate of the parameters that make the recurrence, by that of others (Gu et al. 2022, Appendix). */
const SLOW = 0.1;

/** The step is log-uniform in this range before training, in units of a step of the sequence. */
const STEP_MIN = 1e-3, STEP_MAX = 1e-1;

/** The fields that both read in the same way, in the order that configs of runs are compared in. */
export function parseS4(
  { fields, d_model, n_layer, norm_epsilon }: BlockFields,
): Omit<BlockConfig<S4Config>, "model_type"> {
  const d_state = fields.integer("state_size", 2, MAX_D_STATE) ?? 64;
  if (d_state % 2 !== 0) {
    fields.fail(
      `state_size is ${d_state}, expected an even number: states are pairs of conjugates`,
    );
  }
  return {
    d_model: d_model.value,
    n_layer,
    d_state,
    norm_epsilon,
    mode: fields.word("mode", S4_MODES) ?? "conv",
  };
}

/** The same fields as the file has them. */
export function s4Fields({ d_state, mode, norm_epsilon }: S4Config): Record<string, unknown> {
  return {
    state_size: d_state,
    mode,
    layer_norm_epsilon: norm_epsilon,
    hidden_act: "gelu_pytorch_tanh",
  };
}

/** What the descriptors of both say alike. */
type Shared = Omit<
  Mixer<S4Config>,
  "ownOptions" | "parse" | "toHfFields" | "weightSpecs" | "newConfig"
>;

/**
 * A descriptor's common part.
 *
 * @param title What people call it: model_type and names of classes are made of it.
 * @param lowRank Whether a term of rank one couples the states.
 */
export function describeS4(title: "S4D" | "S4", lowRank: boolean): Shared {
  const name = title.toLowerCase();
  return {
    name,
    title,
    families: [
      {
        model_type: name,
        title,
        architecture: `${title}ForCausalLM`,
        classes: new RegExp(`^${title}(For|Model)`),
        signs: [],
        tied: false,
        eos_token_id: 0,
      },
    ],
    settings: [],
    choices: { mode: S4_MODES },
    activations: ["gelu_pytorch_tanh"],
    usualSizes: { d_state: 64 },

    elementCounts({ d_model, d_state, n_layer }) {
      const table = tableSize({ d_model, d_state, lowRank, chunk: LONGEST_CHUNK });
      return {
        "out.weight [2 * d_model, d_model]": 2 * d_model * d_model,
        "what a chunk of steps does [rows, d_model]": table,
        "the state [n_layer, d_state, d_model]": n_layer * d_state * d_model,
      };
    },

    // Both parts of each pair, with channels side by side.
    stateShapes: ({ d_model, d_state }) => ({ ssm_state: [d_state / 2, 2, d_model] }),

    kernels: s4Kernels,

    describeSizes: ({ d_model, d_state, mode }) =>
      `d_model = ${d_model}, d_state = ${d_state}, mode = ${mode}`,
  };
}

/** What a new model of either kind has. */
export function newS4Config(given: NewModel): Omit<S4Config, "model_type"> {
  const { expand: _expand, d_conv: _d_conv, own: _own, ...model } = given;
  if (model.d_state % 2 !== 0) {
    throw new RangeError(
      `Cannot train: d_state is ${model.d_state}, expected an even number: states are pairs of conjugates`,
    );
  }
  return { ...model, mode: ownWord(given, "mode", S4_MODES) ?? "conv" };
}

/** A parameter of the recurrence: it learns slowly, and does not decay. */
export function slowVector(
  name: string,
  shape: readonly number[],
  initial: InitialValues,
): WeightSpec {
  return { name, shape, kind: "vector", learningRate: SLOW, initial };
}

/** The tensors that both have: what outputs take of states, the skip, the step, and the gated linear unit. */
export function commonSpecs({ d_model, d_state, n_layer }: S4Config): WeightSpec[] {
  const logStep: InitialValues = (key, length) =>
    uniform(key, length, Math.log(STEP_MIN), Math.log(STEP_MAX));
  return [
    {
      name: "C",
      shape: [d_state / 2, 2, d_model],
      kind: "vector",
      // Both parts together have the variance 1.
      initial: normalOf(Math.SQRT1_2),
    },
    { name: "D", shape: [d_model], kind: "vector", initial: normalOf(1) },
    slowVector("log_step", [d_model], logStep),
    {
      name: "out.weight",
      shape: [2 * d_model, d_model],
      kind: "matrix",
      // Each block adds to the residual stream: without this its variance would grow with n_layer.
      initial: uniformWithin(1 / Math.sqrt(d_model * n_layer)),
    },
    { name: "out.bias", shape: [2 * d_model], kind: "vector", initial: zeros },
  ];
}

/** A tensor whose value depends on the pair alone: the same in all channels. */
export function ofPairs(
  d_model: number,
  value: (pair: number) => number,
): InitialValues {
  return (_, length) =>
    Float32Array.from({ length }, (_, index) => value(Math.floor(index / d_model)));
}
