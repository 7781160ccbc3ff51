import { Random } from "../random.ts";
import { s4dSystem, s4System } from "../reference/s4.ts";

/** Sizes of a case. */
export interface S4Case {
  readonly name: string;
  readonly d_model: number;
  readonly d_state: number;
  readonly chunk: number;
  readonly lowRank: boolean;
}

/** Parameters of a layer in the ranges of a new one, f32. */
export interface S4Data {
  readonly random: Random;
  readonly re: Float32Array<ArrayBuffer>;
  readonly im: Float32Array<ArrayBuffer>;
  readonly P: Float32Array<ArrayBuffer>;
  readonly B: Float32Array<ArrayBuffer>;
  readonly C: Float32Array<ArrayBuffer>;
  readonly D: Float32Array<ArrayBuffer>;
  readonly log_step: Float32Array<ArrayBuffer>;
  /** What a step does, rounded to f32, as kernels hand it on. */
  readonly system: Float32Array<ArrayBuffer>;
}

/** Makes the parameters of a case. */
export function s4Data(
  { d_model, d_state, lowRank }: Pick<S4Case, "d_model" | "d_state" | "lowRank">,
  seed: number,
): S4Data {
  const random = new Random(seed);
  const pairs = d_state / 2 * d_model;
  const re = random.uniform(pairs, -0.8, -0.2);
  const im = Float32Array.from(
    { length: pairs },
    (_, i) => Math.PI * (Math.floor(i / d_model) + 0.4 * random.next()),
  );
  const P = random.normal(2 * pairs, 0.7);
  const B = random.normal(2 * pairs);
  const C = random.normal(2 * pairs, Math.SQRT1_2);
  const D = random.normal(d_model);
  const log_step = random.uniform(d_model, Math.log(1e-3), Math.log(1e-1));
  const sizes = { d_model, d_state };
  const system = lowRank
    ? s4System({ Lambda_re: re, Lambda_im: im, P, B, log_step }, sizes)
    : s4dSystem({ A_re: re, A_im: im, log_step }, sizes);
  return { random, re, im, P, B, C, D, log_step, system: Float32Array.from(system) };
}
