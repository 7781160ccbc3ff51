import { AssertionError } from "@std/assert";
import { type Closeness, type ClosenessLimits, measureCloseness } from "../src/checks/closeness.ts";

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
