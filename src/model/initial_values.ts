/**
 * What weights begin with before training, as the official code initializes them (modules/mamba_simple.py,
 * modules/mamba2.py and models/mixer_seq_simple.py of state-spaces/mamba).
 */

import { normal, randomAt, type RandomKey, uniform } from "./random.ts";

/** The first values of a tensor of `length` elements, from its own stream of random numbers. */
export type InitialValues = (key: RandomKey, length: number) => Float32Array<ArrayBuffer>;

/** dt is log-uniform in this range before training, in units of a step ... */
const DT_MIN = 1e-3, DT_MAX = 1e-1;
/** ... and never below this. */
const DT_FLOOR = 1e-4;

/** Zeros. */
export const zeros: InitialValues = (_, length) => new Float32Array(length);

/** Ones. */
export const ones: InitialValues = (_, length) => new Float32Array(length).fill(1);

/** Uniform in [-bound, bound). */
export function uniformWithin(bound: number): InitialValues {
  return (key, length) => uniform(key, length, -bound, bound);
}

/** Normal, of mean 0. */
export function normalOf(std: number): InitialValues {
  return (key, length) => normal(key, length, std);
}

/** The logarithm of what `value` gives for each index, with a number in [0, 1) to draw. */
export function logarithms(
  value: (index: number, random: () => number) => number,
): InitialValues {
  return (key, length) =>
    Float32Array.from({ length }, (_, i) => Math.log(value(i, () => randomAt(key, i))));
}

/** The values whose softplus is dt. */
export const dtBias: InitialValues = (key, length) =>
  Float32Array.from({ length }, (_, channel) => inverseSoftplus(initialDt(randomAt(key, channel))));

/** The dt that `random` in [0, 1) picks. */
function initialDt(random: number): number {
  const logarithm = random * (Math.log(DT_MAX) - Math.log(DT_MIN)) + Math.log(DT_MIN);
  return Math.max(DT_FLOOR, Math.exp(logarithm));
}

function inverseSoftplus(dt: number): number {
  return dt + Math.log(-Math.expm1(-dt));
}
