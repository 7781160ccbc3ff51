import { AssertionError } from "@std/assert";

/** Limits of assertClose(). */
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

/**
 * Asserts that |actual - expected| <= atol + rtol |expected| everywhere. NaN never passes, not even
 * where NaN is expected, and neither do different lengths.
 *
 * @returns the measured error, for tests that report it or compare it with another's
 * @throws {AssertionError} With the error in units of the limit, the worst index, both values and
 * the normalized mean squared error
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limits: ClosenessLimits,
): Closeness {
  const { name, rtol, atol } = limits;
  if (actual.length !== expected.length) {
    throw new AssertionError(
      `${name}: the length is ${actual.length}, expected ${expected.length}`,
    );
  }
  const measured = measureCloseness(actual, expected, limits);
  if (!(measured.worst <= 1)) {
    throw new AssertionError(
      `${name}: the error is ${measured.worst.toPrecision(4)} x (atol ${atol} + rtol ${rtol} x ` +
        `|expected|) at index ${measured.index} of ${expected.length}: ${measured.actual}, expected ` +
        `${measured.expected}. NMSE ${measured.nmse.toExponential(3)}`,
    );
  }
  return measured;
}
