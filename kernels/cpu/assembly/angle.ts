// Angles, as kernels/_angle.wgsl has them: its head says why, and what the constants are.

import { exp } from "./math";

/** The same angle in [-pi, pi], from one that is not far from it. */
export function reduced(angle: f32): f32 {
  const turns = nearest<f32>(angle * <f32>0.15915494);
  return (angle - turns * <f32>6.28125) - turns * <f32>1.9353072e-3;
}

/** What cosSin() leaves. */
export let cosine: f32 = 1;
export let sine: f32 = 0;

/** Sets cosine and sine of an angle in about [-pi, pi]. */
export function cosSin(angle: f32): void {
  const quarters = nearest<f32>(angle * <f32>0.63661977);
  const first = angle - quarters * <f32>1.5703125;
  const x = (first - quarters * <f32>4.8375130e-4) - quarters * <f32>7.5497900e-8;
  const s = x * x;
  const own_sine = x + x * s * (<f32>-1.6666654611e-1 + s * (<f32>8.3321608736e-3 - s * <f32>1.9515295891e-4));
  const tail = <f32>4.166664568e-2 + s * (<f32>-1.388731625e-3 + s * <f32>2.443315711e-5);
  const own_cosine = <f32>1 - <f32>0.5 * s + s * s * tail;
  const quarter = (<i32>quarters + 4) & 3;
  const isOdd = (quarter & 1) != 0;
  cosine = isOdd ? -own_sine : own_cosine;
  sine = isOdd ? own_cosine : own_sine;
  if (quarter >= 2) {
    cosine = -cosine;
    sine = -sine;
  }
}

/** tanh, exact to 1e-7 of 1. */
export function tanh(v: f32): f32 {
  const e = exp(<f32>-2 * abs(v));
  const one: f32 = 1;
  return copysign<f32>((one - e) / (one + e), v);
}
