/** Whether inputs are what a model takes. */

import type { ModelConfig } from "../model/config/config.ts";
import type { Inputs } from "./session.ts";

/** Checks inputs against the model, and gives them the form that executors take. */
export function checkInputs(config: ModelConfig, inputs: Inputs): Uint32Array | Float32Array {
  const { input, real_vocab_size } = config;
  requireNumbers(inputs, input.kind === "linear" ? "floats" : "token ids");
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
  // Not through iterators: a stream's inputs all come by here, and each would leave something to be collected.
  for (let index = 0; index < inputs.length; index++) {
    const id = inputs[index] ?? NaN;
    if (!Number.isInteger(id) || id < 0 || id >= input.vocab_size) {
      throw new RangeError(
        `Cannot run the model: id ${index} is ${id}, and ids go from 0 to ${real_vocab_size - 1}`,
      );
    }
  }
  return new Uint32Array(inputs);
}

/** Who calls from JavaScript may give anything. */
function requireNumbers(inputs: unknown, expected: string): void {
  if (Array.isArray(inputs)) {
    const bad = inputs.findIndex((value) => typeof value !== "number");
    if (bad < 0) return;
    throw new TypeError(
      `Cannot run the model: input ${bad} is ${show(inputs[bad])}, expected ${expected}`,
    );
  }
  if (ArrayBuffer.isView(inputs) && !(inputs instanceof DataView)) return;
  throw new TypeError(`Cannot run the model: the input is ${show(inputs)}, expected ${expected}`);
}

/**
 * Whether inputs come one by one, rather than in a list.
 *
 * @throws {TypeError} If they are neither, as from JavaScript they may be.
 */
export function isStream<List, T>(
  action: string,
  inputs: List | AsyncIterable<T>,
): inputs is AsyncIterable<T> {
  if (typeof inputs === "object" && inputs !== null) {
    if (Symbol.asyncIterator in inputs) return true;
    if (Symbol.iterator in inputs) return false;
  }
  throw new TypeError(
    `Cannot ${action}: the input is ${show(inputs)}, expected a list or a stream`,
  );
}

function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  }
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

/**
 * Refuses a sequence that is not what the checkpoint's preprocessing makes: a part of an image would be classified like any
 * other, and wrong. What comes step by step may well be a part.
 *
 * @param values Values of one sequence.
 * @throws {RangeError} If the model takes images, and these values are not one.
 */
export function requireWholeImage({ preprocessing }: ModelConfig, values: number): void {
  if (preprocessing?.kind !== "image") return;
  const { width, height, channels } = preprocessing;
  const needed = width * height * channels;
  if (values === needed) return;
  throw new RangeError(
    `Cannot classify ${values} values: this model takes images of ${width} x ${height} x ${channels}, which are ${needed}`,
  );
}
