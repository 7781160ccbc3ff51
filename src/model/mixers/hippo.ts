/** The matrix that S4 begins with, HiPPO-LegS, as a diagonal and a term of rank one. In float64, once for each size. */

import { type Complex, eigenOfHermitian } from "./hermitian.ts";

/** One of a pair of conjugate states: its rate, its part of the term of rank one, and what an input adds to it. */
export interface HippoPair {
  readonly Lambda: Complex;
  readonly P: Complex;
  readonly B: Complex;
}

const MADE = new Map<number, readonly HippoPair[]>();

/**
 * HiPPO-LegS of `size` real states in the basis where its normal part is diagonal (Gu, Goel & Re 2022, Theorem 1):
 * A = V (diag(Lambda) - P P*) V*, of each pair of conjugates the state with the positive imaginary part.
 *
 * A[n, k] = -sqrt(2 n + 1) sqrt(2 k + 1) below the diagonal, -(n + 1) on it; with p[n] = sqrt(n + 1/2), A + p p^T is -1/2
 * on the diagonal and skew-symmetric beside it.
 *
 * @returns size / 2 pairs, the slowest first.
 */
export function hippoPairs(size: number): readonly HippoPair[] {
  const found = MADE.get(size) ?? makePairs(size);
  MADE.set(size, found);
  return found;
}

function makePairs(size: number): HippoPair[] {
  const p = Float64Array.from({ length: size }, (_, n) => Math.sqrt(n + 0.5));
  const b = Float64Array.from({ length: size }, (_, n) => Math.sqrt(2 * n + 1));
  // -i times the skew-symmetric part, whose eigenvalues are the imaginary parts of the rates.
  const skew = (n: number, k: number): number =>
    n === k ? 0 : (n > k ? -0.5 : 0.5) * Math.sqrt((2 * n + 1) * (2 * k + 1));
  const { values, vectors } = eigenOfHermitian(size, (n, k) => [0, -skew(n, k)]);
  const along = (vector: readonly Complex[], real: Float64Array): Complex => {
    let [re, im] = [0, 0];
    for (const [n, [a, c]] of vector.entries()) {
      const value = real[n] ?? NaN;
      re += a * value;
      im -= c * value;
    }
    return [re, im];
  };
  return values
    .map((value, index) => ({ value, vector: vectors[index] ?? [] }))
    .filter(({ value }) => value > 0)
    .sort((one, other) => one.value - other.value)
    .map(({ value, vector }) => ({
      Lambda: [-0.5, value],
      P: along(vector, p),
      B: along(vector, b),
    }));
}
