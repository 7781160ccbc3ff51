/** Whether inputs are what a model takes. */

import type { ModelConfig } from "../model/config/config.ts";
import type { Inputs } from "./session.ts";

/** Checks inputs against the model, and gives them the form that executors take. */
export function checkInputs(config: ModelConfig, inputs: Inputs): Uint32Array | Float32Array {
  const { input, real_vocab_size } = config;
  if (inputs.length === 0) throw new TypeError("Cannot run the model: there are no inputs");
  if (input.kind === "linear") {
    const floats = inputs instanceof Float32Array ? inputs : Float32Array.from(inputs);
    if (floats.length % input.d_input !== 0) {
      throw new TypeError(
        `Cannot run the model: ${floats.length} floats, and a step takes ${input.d_input}`,
      );
    }
    const bad = floats.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new RangeError(`Cannot run the model: input ${bad} is ${floats[bad]}`);
    return floats;
  }
  if (inputs instanceof Float32Array) {
    throw new TypeError("Cannot run the model: it takes token ids, and these are floats");
  }
  for (const [index, id] of inputs.entries()) {
    if (!Number.isInteger(id) || id < 0 || id >= input.vocab_size) {
      throw new RangeError(
        `Cannot run the model: id ${index} is ${id}, and ids go from 0 to ${real_vocab_size - 1}`,
      );
    }
  }
  return Uint32Array.from(inputs);
}
