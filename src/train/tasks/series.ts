/** `series`: labelled series of numbers in the UCR archive's form, classified value by value. */

import type { Split } from "../../io/datasets/image_dataset.ts";
import { loadSeries, type SeriesDataset } from "../../io/datasets/series.ts";
import { orderedSource, shuffledSource } from "../batches.ts";
import { dataHash } from "../data_hash.ts";
import { seriesExamples, standardization } from "../series_examples.ts";
import type { Hyperparameters, ModelSize, Task, TaskOptions, TaskPreset } from "../task.ts";
import { checkLength, choosePreset, COMMON, newConfig, settings } from "../task.ts";

const SIZE: ModelSize = { d_model: 32, n_layer: 2, d_state: 16, d_conv: 4, expand: 2 };
const DEFAULTS: Omit<Hyperparameters, "seqlen"> = {
  ...COMMON,
  ...{ steps: 1000, batchSize: 32, dropout: 0.1, warmupSteps: 50, evaluateEvery: 100 },
  ...{ learningRate: 4e-3, minimumLearningRate: 4e-5 },
};

/** Its presets; the first is the default. */
export const SERIES_PRESETS: readonly TaskPreset[] = [{
  name: "values",
  settings: DEFAULTS,
  size: SIZE,
}];

/**
 * One preset, `values`. `data` is the training file (`Data_TRAIN.txt`, beside `Data_TEST.txt`), or a folder of one pair.
 * The sets are small, so the test file validates.
 *
 * @throws {SyntaxError} If the files are not such series, or have one class only.
 * @throws {RangeError} If an option is out of range.
 */
export async function seriesTask(options: TaskOptions = {}): Promise<Task> {
  choosePreset("series", ["values"], options);
  if (options.data === undefined) {
    throw new TypeError(
      'Cannot load the task "series": it has no data. Give the training file, such as ' +
        "Data_TRAIN.txt, or its folder, as data",
    );
  }
  const datasets = await loadSeries(options.data);
  return classificationTask(
    { name: "series", datasets, size: SIZE, own: DEFAULTS },
    options,
  );
}

/** A classifier of series. The test series validate. */
export function classificationTask(
  { name, datasets: { train, test }, size, own }: {
    readonly name: string;
    readonly datasets: Readonly<Record<Split, SeriesDataset>>;
    readonly size: ModelSize;
    readonly own: Omit<Hyperparameters, "seqlen">;
  },
  options: TaskOptions,
): Task {
  const seqlen = train.length;
  const defaults = settings({ ...own, seqlen }, options);
  checkLength(name, seqlen, options);
  const preprocessing = standardization(train);
  const { batchSize, seed } = defaults;
  const n_classes = train.classNames.length;
  return {
    name,
    config: newConfig(size, {
      input: { kind: "linear", d_input: 1, bias: true },
      head: { kind: "classifier", n_classes, pool: "mean", bias: true },
      preprocessing,
      labels: train.classNames,
    }, options),
    defaults,
    train: shuffledSource(seriesExamples(train, preprocessing), { batchSize, seed }),
    validation: orderedSource(seriesExamples(test, preprocessing), { batchSize }),
    dataHash: () => dataHash([train, test].flatMap(({ values, labels }) => [values, labels])),
    summary: `${train.count} series of ${seqlen} values to train on, ${test.count} to validate ` +
      `with, ${n_classes} classes`,
  };
}
