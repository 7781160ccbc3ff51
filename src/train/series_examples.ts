/** Labelled series as training examples, a value a step. */

import type { SeriesDataset } from "../io/datasets/series.ts";
import type { SeriesPreprocessing } from "../model/config/config.ts";
import type { Examples } from "./batches.ts";
import { type SeriesAugmentation, seriesCopier } from "./series_augmentation.ts";

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
 * @param augmentation What happens to training series, and its seed; evaluation has none.
 */
export function seriesExamples(
  { count, length, values, labels }: SeriesDataset,
  { mean: [mean = 0], std: [std = 1] }: SeriesPreprocessing,
  augmentation?: { readonly changes: SeriesAugmentation; readonly seed: number },
): Examples {
  const standardized = values.map((v) => (v - mean) / std);
  const copy = augmentation &&
    seriesCopier({ length, values: standardized, labels }, augmentation.changes, augmentation.seed);
  return {
    count,
    seqlen: length,
    read(draws) {
      const inputs = new Float32Array(draws.length * length);
      draws.forEach((draw, slot) => {
        const to = inputs.subarray(slot * length, (slot + 1) * length);
        const start = draw.example * length;
        if (copy === undefined) to.set(standardized.subarray(start, start + length));
        else copy(draw, to);
      });
      return { inputs, targets: Uint32Array.from(draws, ({ example }) => labels[example] ?? 0) };
    },
  };
}

/** Some of the series. */
export function pickSeries(all: SeriesDataset, wanted: (index: number) => boolean): SeriesDataset {
  const indices = [...all.labels.keys()].filter(wanted);
  const { length } = all;
  const values = new Float32Array(indices.length * length);
  indices.forEach((from, to) =>
    values.set(all.values.subarray(from * length, (from + 1) * length), to * length)
  );
  const labels = Uint32Array.from(indices, (index) => all.labels[index] ?? 0);
  return { ...all, count: indices.length, values, labels };
}
