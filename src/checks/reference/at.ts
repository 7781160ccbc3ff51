/**
 * The element at `index`. Out of range throws instead of turning into NaN or a neighbor's value, so
 * a wrong shape given to the oracle cannot pass for a result.
 */
export function at<T>(values: ArrayLike<T>, index: number): T {
  const value = values[index];
  if (value === undefined) {
    throw new RangeError(
      `Cannot read element ${index}: the array has ${values.length}, check the shapes given`,
    );
  }
  return value;
}
