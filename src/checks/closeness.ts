/** How far one array is from another, in units of what is allowed. */

/** How far a result may be from what is expected. */
export interface ClosenessLimits {
  /** Allowed error relative to the expected value. */
  rtol: number;
  /** Allowed absolute error. */
  atol: number;
  /** What is compared, for the message. */
  name: string;
}

/** How far one array is from another. */
export interface Closeness {
  /** max |a - b| / (atol + rtol |b|): above 1, or NaN, fails. */
  worst: number;
  /** Where that is; -1 for empty arrays. */
  index: number;
  /** The two values there. */
  actual: number;
  expected: number;
  /** sum (a - b)^2 / sum b^2 */
  nmse: number;
}

/**
 * Measures `actual` against `expected`. A NaN on either side is an infinite error; equal infinities
 * are none.
 */
export function measureCloseness(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol, atol }: Pick<ClosenessLimits, "rtol" | "atol">,
): Closeness {
  let [worst, index, squares, norm] = [0, -1, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a = NaN, b = NaN] = [actual[i], expected[i]];
    const difference = a === b ? 0 : Math.abs(a - b);
    const limit = atol + rtol * Math.abs(b);
    const ratio = difference === 0 ? 0 : difference / limit;
    const error = Number.isNaN(ratio) ? Infinity : ratio;
    if (index < 0 || error > worst) [worst, index] = [error, i];
    squares += difference ** 2;
    norm += b ** 2;
  }
  const nmse = squares === 0 ? 0 : squares / norm;
  return { worst, index, actual: actual[index] ?? NaN, expected: expected[index] ?? NaN, nmse };
}
