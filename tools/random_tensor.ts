/**
 * Random weights in the ranges of the published initialization, made piece by piece and fast.
 *
 * Training begins with src/train/initialise.ts, whose every number can be told from its place alone. Here numbers follow
 * one another, at some nanoseconds each: a model has billions.
 */

import type { ModelConfig } from "../src/model/config/config.ts";
import { isS4 } from "../src/model/mixers/s4_fields.ts";
import { elementCount } from "../src/model/shapes.ts";
import { type WeightSpec, weightSpecs } from "../src/model/weights/weight_specs.ts";

/** Numbers of a piece: 4 MiB as f32. */
const PIECE = 2 ** 20;

/** Fills an array with some tensor's numbers, of which the first is number `first` of the tensor. */
type Fill = (values: Float32Array, first: number) => void;

/**
 * A tensor's values in order, in pieces of whole arrays.
 *
 * @param spec The tensor.
 * @param seed Any 32-bit integer: the same gives the same values.
 */
export function* randomPieces(
  config: ModelConfig,
  spec: WeightSpec,
  seed: number,
): Generator<Float32Array<ArrayBuffer>> {
  const length = spec.shape.reduce((product, size) => product * size, 1);
  // Every tensor has a seed of its own, from its name.
  const own = [...spec.name].reduce(
    (hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619),
    seed ^ 0x811c9dc5,
  );
  const fill = fillOf(config, spec, randomBits(own));
  for (let first = 0; first < length; first += PIECE) {
    const values = new Float32Array(Math.min(PIECE, length - first));
    fill(values, first);
    yield values;
  }
}

/** 32 random bits at a time, signed (xorshift32). */
function randomBits(seed: number): () => number {
  let x = seed === 0 ? 1 : seed | 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
}

/** What the last part of a tensor's name says of its values; layers are alike. */
function fillOf(config: ModelConfig, spec: WeightSpec, next: () => number): Fill {
  const { name, shape } = spec;
  const [, columns = 1] = shape;
  const uniform = (low: number, high: number): Fill => {
    const [middle, half] = [(low + high) / 2, (high - low) / 2 ** 32];
    return (values) => {
      for (let i = 0; i < values.length; i++) values[i] = middle + half * next();
    };
  };
  const within = (bound: number) => uniform(-bound, bound);
  const mapped = (fill: Fill, map: (value: number) => number): Fill => (values, first) => {
    fill(values, first);
    for (let i = 0; i < values.length; i++) values[i] = map(values[i] ?? 0);
  };
  // What makes S4's recurrences is small, and not random alone.
  if (isS4(config) && spec.kind === "vector" && name.includes(".mixer.")) {
    const all = spec.initial([next() >>> 0, 0], elementCount(shape));
    return (values, first) => values.set(all.subarray(first, first + values.length));
  }
  if (/embeddings?\.weight$/.test(name)) return within(0.02 * Math.sqrt(3));
  // The residual stream grows with every block otherwise.
  if (/\.(out_proj|mixer\.out)\.weight$/.test(name)) {
    return within((columns * config.n_layer) ** -0.5);
  }
  if (/conv1d\.(weight|bias)$/.test(name)) return within(convTaps(config) ** -0.5);
  if (/\.(D|norm\.weight|norm_f\.weight)$/.test(name)) return (values) => values.fill(1);
  // Mamba-1: A = -1 .. -d_state in each channel. Mamba-2 has one of a head, from 1 to 16.
  if (name.endsWith("A_log")) {
    return shape.length === 1
      ? mapped(uniform(1, 16), Math.log)
      : (values, first) =>
        values.forEach((_, i) => values[i] = Math.log(1 + (first + i) % columns));
  }
  // softplus of it is log-uniform from 0.001 to 0.1.
  if (/\.(dt_proj\.bias|dt_bias)$/.test(name)) {
    return mapped(uniform(Math.log(1e-3), Math.log(1e-1)), (log) => {
      const dt = Math.exp(log);
      return dt + Math.log(-Math.expm1(-dt));
    });
  }
  if (name.endsWith(".bias")) return () => {};
  return within(columns ** -0.5);
}

/** Inputs of each channel's convolution, in models that have one. */
function convTaps(config: ModelConfig): number {
  return weightSpecs(config).find(({ name }) => name.endsWith("conv1d.weight"))?.shape.at(-1) ?? 1;
}
