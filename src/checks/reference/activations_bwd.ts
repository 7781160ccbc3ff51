/** Derivatives of the scalar functions of the Mamba block, in float64. */

import { sigmoid } from "./activations.ts";

/** Derivative of silu() at v. */
export function siluDerivative(v: number): number {
  return sigmoid(v) * (1 + v * (1 - sigmoid(v)));
}

/** Derivative of softplus() at v: 1 above 20, where softplus() is v itself. */
export function softplusDerivative(v: number): number {
  return v > 20 ? 1 : sigmoid(v);
}
