/**
 * New weights, as the official code initializes them (modules/mamba_simple.py, modules/mamba2.py and
 * models/mixer_seq_simple.py of state-spaces/mamba), from a seed.
 */

import type { ModelConfig } from "../model/config/config.ts";
import { type WeightSpec, weightSpecs } from "../model/weights.ts";
import { normal, randomAt, type RandomKey, randomKey, uniform } from "./random.ts";

/** dt is log-uniform in this range before training, in units of a step ... */
const DT_MIN = 1e-3, DT_MAX = 1e-1;
/** ... and never below this. */
const DT_FLOOR = 1e-4;
/** -A of Mamba-2 is in this range before training. */
const A_MIN = 1, A_MAX = 16;
const EMBEDDING_STD = 0.02;

/**
 * Makes the weights of an untrained model.
 *
 * Every tensor has its own stream of random numbers, by name: a layer more, or another head, changes no other tensor.
 *
 * @param config The model.
 * @param seed A whole number from 0 to 2^53 - 1; the same seed gives the same bits.
 * @returns Every tensor of `weightSpecs(config)` by its official name, row-major in the spec's shape, in that order.
 * @throws {RangeError} If the seed is out of range.
 */
export function initialise(
  config: ModelConfig,
  seed: number,
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    weightSpecs(config).map((spec) => {
      const key = randomKey(seed, spec.name);
      return [spec.name, initialTensor(config, spec, key)];
    }),
  );
}

/** One tensor, by the last part of its name: what comes before is the layer. */
function initialTensor(
  config: ModelConfig,
  { name, shape }: WeightSpec,
  key: RandomKey,
): Float32Array<ArrayBuffer> {
  const length = shape.reduce((product, size) => product * size, 1);
  const bounded = (bound: number) => uniform(key, length, -bound, bound);
  const part = name.replace(/^backbone\.(layers\.\d+\.)?(mixer\.)?/, "");
  switch (part) {
    case "embeddings.weight":
      return normal(key, length, EMBEDDING_STD);
    // PyTorch's default of a linear layer: uniform within 1 / sqrt(inputs). That of dt_proj is the same by the paper.
    case "input_proj.weight":
    case "in_proj.weight":
    case "x_proj.weight":
    case "dt_proj.weight":
    case "classifier.weight":
    case "lm_head.weight":
      return bounded(1 / Math.sqrt(shape[1] ?? 1));
    // Each block adds to the residual stream: without this its variance would grow with n_layer.
    case "out_proj.weight":
      return bounded(1 / Math.sqrt(config.d_inner * config.n_layer));
    // A channel's convolution has d_conv inputs. Its bias keeps PyTorch's default; those of linear layers are 0.
    case "conv1d.weight":
    case "conv1d.bias":
      return bounded(1 / Math.sqrt(config.d_conv));
    case "dt_proj.bias":
    case "dt_bias":
      return Float32Array.from({ length }, (_, channel) => dtBias(randomAt(key, channel)));
    case "A_log":
      return Float32Array.from(
        { length },
        config.model_type === "mamba2"
          // A of each head is uniform.
          ? (_, head) => Math.log(A_MIN + (A_MAX - A_MIN) * randomAt(key, head))
          // A = -1 .. -d_state in every channel (S4D-real).
          : (_, i) => Math.log(i % config.d_state + 1),
      );
    case "D":
    case "norm.weight":
    case "norm_f.weight":
      return new Float32Array(length).fill(1);
    case "input_proj.bias":
    case "in_proj.bias":
    case "out_proj.bias":
    case "classifier.bias":
      return new Float32Array(length);
    default:
      throw new TypeError(`Cannot initialize "${name}": no rule is known for such a tensor`);
  }
}

/** The value whose softplus is the dt that `random` in [0, 1) picks. */
function dtBias(random: number): number {
  const dt = Math.max(
    DT_FLOOR,
    Math.exp(random * (Math.log(DT_MAX) - Math.log(DT_MIN)) + Math.log(DT_MIN)),
  );
  return dt + Math.log(-Math.expm1(-dt));
}
