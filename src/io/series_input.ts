/** A series of raw numbers as a model's input. */

/** What a model's numbers are scaled by, as a checkpoint's `preprocessing` of kind "series" says. */
export interface SeriesScale {
  /** Subtracted from each of the values of a step. */
  readonly mean: readonly number[];
  /** Then divides them; above 0. */
  readonly std: readonly number[];
}

/**
 * Turns raw values into the input of a model of series: (value - mean) / std, each value of a step with its own.
 *
 * @param values Steps one after the other, as many values each as `scale` has means: a whole series, or one step of a stream.
 * @param scale The checkpoint's preprocessing.
 * @returns Floats (seqlen, d_input) for `classify`, `prefill` or `step`.
 * @throws {TypeError} If the values are no whole steps.
 *
 * @example A series of two steps
 * ```ts
 * import { seriesToInput } from "./series_input.ts";
 *
 * seriesToInput([3, 5], { mean: [4], std: [0.5] }); // [-2, 2]
 * ```
 */
export function seriesToInput(
  values: readonly number[] | Float32Array,
  { mean, std }: SeriesScale,
): Float32Array {
  const width = mean.length;
  if (values.length === 0 || values.length % width !== 0) {
    throw new TypeError(
      `Cannot make an input of ${values.length} values: expected one or more steps of ${width}`,
    );
  }
  return Float32Array.from(values, (v, i) => (v - (mean[i % width] ?? 0)) / (std[i % width] ?? 1));
}
