/** Labelled series as training examples, a value a step. */

import type { SeriesDataset } from "../io/datasets/series.ts";
import { joinMoments, momentsOf, SeriesFile } from "../io/datasets/series_file.ts";
import type { SeriesPreprocessing } from "../model/config/config.ts";
import type { Examples } from "./batches.ts";
import { type SeriesAugmentation, seriesCopier } from "./series_augmentation.ts";

/**
 * Mean and standard deviation of all values of a dataset.
 *
 * @throws {RangeError} If all values are equal: there is nothing to learn from them.
 */
export function standardization(series: SeriesDataset): SeriesPreprocessing {
  const { values, name, count, length } = series;
  const row = (_: unknown, i: number) => momentsOf(values.subarray(i * length, (i + 1) * length));
  // In the same order wherever the values are: so are the bits of what is trained.
  const { mean, std } = values instanceof SeriesFile
    ? values.moments()
    : joinMoments(Array.from({ length: count }, row), length);
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
  const row = (index: number) =>
    values.subarray(index * length, (index + 1) * length).map((v) => (v - mean) / std);
  const copy = augmentation &&
    seriesCopier({ length, row, labels }, augmentation.changes, augmentation.seed);
  return {
    count,
    seqlen: length,
    read(draws) {
      const inputs = new Float32Array(draws.length * length);
      draws.forEach((draw, slot) => {
        const to = inputs.subarray(slot * length, (slot + 1) * length);
        if (copy === undefined) to.set(row(draw.example));
        else copy(draw, to);
      });
      return { inputs, targets: Uint32Array.from(draws, ({ example }) => labels[example] ?? 0) };
    },
  };
}

/** Some of the series. */
export function pickSeries(all: SeriesDataset, wanted: (index: number) => boolean): SeriesDataset {
  const indices = [...all.labels.keys()].filter(wanted);
  const { length, values } = all;
  const labels = Uint32Array.from(indices, (index) => all.labels[index] ?? 0);
  const count = indices.length;
  if (values instanceof SeriesFile) return { ...all, count, values: values.pick(indices), labels };
  const picked = new Float32Array(count * length);
  indices.forEach((from, to) =>
    picked.set(values.subarray(from * length, (from + 1) * length), to * length)
  );
  return { ...all, count, values: picked, labels };
}
