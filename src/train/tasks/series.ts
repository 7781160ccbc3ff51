/** `series`: labelled series of numbers in the UCR archive's form, classified value by value. */

import type { Split } from "../../io/datasets/image_dataset.ts";
import { loadSeries, type SeriesDataset } from "../../io/datasets/series.ts";
import { SeriesFile } from "../../io/datasets/series_file.ts";
import { hashFile } from "../../io/hash_file.ts";
import { orderedSource, shuffledSource } from "../batches.ts";
import { dataHash } from "../data_hash.ts";
import { heldOutOf } from "../held_out.ts";
import { type SeriesAugmentation, UNCHANGED } from "../series_augmentation.ts";
import { pickSeries, seriesExamples, standardization } from "../series_examples.ts";
import { SettingError } from "../setting_error.ts";
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

/** A classifier of series. The test series validate, unless `heldOut` says that training series do. */
export function classificationTask(
  { name, datasets: { train, test }, size, own, changes = UNCHANGED }: {
    readonly name: string;
    readonly datasets: Readonly<Record<Split, SeriesDataset>>;
    readonly size: ModelSize;
    readonly own: Omit<Hyperparameters, "seqlen">;
    /** What happens to training series where the options say nothing. */
    readonly changes?: SeriesAugmentation;
  },
  options: TaskOptions,
): Task {
  const seqlen = train.length;
  const defaults = settings({ ...own, seqlen }, options);
  checkLength(name, seqlen, options);
  const heldOut = options.heldOut ?? 0;
  const isHeld = heldOut === 0 ? () => false : heldOutOf(train.count, heldOut, "series");
  const trained = pickSeries(train, (index) => !isHeld(index));
  const validated = heldOut === 0 ? test : pickSeries(train, isHeld);
  const preprocessing = standardization(trained);
  const { batchSize, seed } = defaults;
  const made = checkChanges({ ...changes, ...options.changes });
  const n_classes = train.classNames.length;
  const ordered = (series: SeriesDataset) =>
    orderedSource(seriesExamples(series, preprocessing), { batchSize });
  return {
    name,
    config: newConfig(size, {
      input: { kind: "linear", d_input: 1, bias: true },
      head: { kind: "classifier", n_classes, pool: "mean", bias: true },
      preprocessing,
      labels: train.classNames,
    }, options),
    defaults,
    train: shuffledSource(
      seriesExamples(trained, preprocessing, { changes: made, seed }),
      { batchSize, seed },
    ),
    validation: ordered(validated),
    ...(heldOut === 0 ? {} : { test: ordered(test) }),
    dataHash: async () =>
      await dataHash((await Promise.all([train, test].map(hashedParts))).flat()),
    summary: `${trained.count} series of ${seqlen} values to train on${describeChanges(made)}, ` +
      `${validated.count} to validate with, ` +
      `${heldOut === 0 ? "" : `${test.count} to test with, `}${n_classes} classes`,
  };
}

/** What tells series from others: where they are read from a file, all of it does. */
async function hashedParts(
  { values, labels }: SeriesDataset,
): Promise<readonly (string | ArrayBufferView)[]> {
  if (values instanceof SeriesFile) return [await hashFile(values.path)];
  return [values.subarray(0, values.length), labels];
}

/** Part of the summary: a run goes on with the same changes alone. */
function describeChanges(changes: SeriesAugmentation): string {
  const made = Object.entries(changes).filter(([, most]) => most > 0);
  return made.length === 0 ? "" : ` (${made.map((change) => change.join(" ")).join(", ")})`;
}

/** @throws {SettingError} If a change is out of range. */
function checkChanges(changes: SeriesAugmentation): SeriesAugmentation {
  for (const [name, value] of Object.entries(changes)) {
    const most = name === "mix" ? 0.5 : name === "stretch" ? 0.9 : Number.MAX_VALUE;
    if (value >= 0 && value <= most) continue;
    throw new SettingError(
      `Cannot train: ${name} is ${value}, expected a number from 0` +
        (most === Number.MAX_VALUE ? "" : ` to ${most}`),
    );
  }
  return changes;
}
