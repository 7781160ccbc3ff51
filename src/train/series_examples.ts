/** Labelled series as training examples, a value a step. */

import type { SeriesDataset } from "../io/datasets/series.ts";
import type { SeriesPreprocessing } from "../model/config/config.ts";
import type { Examples } from "./batches.ts";

/**
 * Mean and standard deviation of all values of a dataset.
 *
 * @throws {RangeError} If all values are equal: there is nothing to learn from them.
 */
export function standardization({ values, name }: SeriesDataset): SeriesPreprocessing {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
  if (!(std > 0) || !Number.isFinite(std)) {
    throw new RangeError(
      `Cannot train on "${name}": the standard deviation of its values is ${std}, expected a number ` +
        `above 0`,
    );
  }
  return { kind: "series", mean: [mean], std: [std] };
}

/**
 * Series to classify: inputs (batch, length, 1), targets (batch).
 *
 * @param dataset The series.
 * @param preprocessing What the checkpoint will say of its preprocessing.
 */
export function seriesExamples(
  { count, length, values, labels }: SeriesDataset,
  { mean: [mean = 0], std: [std = 1] }: SeriesPreprocessing,
): Examples {
  const standardized = values.map((v) => (v - mean) / std);
  return {
    count,
    seqlen: length,
    read(draws) {
      const inputs = new Float32Array(draws.length * length);
      draws.forEach(({ example }, slot) =>
        inputs.set(standardized.subarray(example * length, (example + 1) * length), slot * length)
      );
      return { inputs, targets: Uint32Array.from(draws, ({ example }) => labels[example] ?? 0) };
    },
  };
}
