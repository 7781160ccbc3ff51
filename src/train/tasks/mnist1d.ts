/** `mnist1d`: series of 40 samples in ten classes, classified sample by sample. */

import { loadMnist1d } from "../../io/datasets/mnist1d.ts";
import { type SeriesAugmentation, UNCHANGED } from "../series_augmentation.ts";
import type { Hyperparameters, Task, TaskOptions, TaskPreset } from "../task.ts";
import { choosePreset, COMMON } from "../task.ts";
import { classificationTask } from "./series.ts";

interface Preset extends TaskPreset {
  readonly settings: Omit<Hyperparameters, "seqlen">;
}

const PRESETS: readonly Preset[] = [{
  name: "values",
  size: { d_model: 64, n_layer: 4, d_state: 16, d_conv: 8, expand: 2 },
  settings: {
    ...COMMON,
    ...{ steps: 8000, batchSize: 64, dropout: 0.1, labelSmoothing: 0.1, evaluateEvery: 500 },
    ...{ learningRate: 4e-3, minimumLearningRate: 4e-5 },
  },
}, {
  name: "small",
  isDefaultOnCpu: true,
  note: "97 s of CPU time, and 98.00% of the test series",
  size: { d_model: 32, n_layer: 3, d_state: 16, d_conv: 8, expand: 2 },
  settings: {
    ...COMMON,
    ...{ steps: 2000, batchSize: 32, labelSmoothing: 0.1 },
    ...{ learningRate: 6e-3, minimumLearningRate: 6e-5 },
  },
}];

/** The set's own makers move, scale and tilt one template a class, and add noise: so may training. */
const CHANGES: SeriesAugmentation = { ...UNCHANGED, jitter: 0.05, scale: 0.2, tilt: 0.5, roll: 12 };

/** Its presets; the first is the default. */
export const MNIST1D_PRESETS: readonly TaskPreset[] = PRESETS;

/**
 * Presets `values` (the default) and `small`, for a CPU. `data` is MNIST-1D's pickle, `mnist1d_data.pkl`. The test series validate, unless
 * `heldOut` says that training series do.
 *
 * @throws {SyntaxError} If the file is another.
 * @throws {RangeError} If an option is out of range.
 */
export async function mnist1dTask(options: TaskOptions = {}): Promise<Task> {
  const name = choosePreset("mnist1d", ["values", "small"], options);
  const preset = PRESETS.find((each) => each.name === name);
  if (preset === undefined) throw new Error(`The task "mnist1d" has no preset "${name}"`);
  if (options.data === undefined) {
    throw new TypeError(
      'Cannot load the task "mnist1d": it has no data. Give mnist1d_data.pkl as data',
    );
  }
  const datasets = await loadMnist1d(options.data);
  return classificationTask(
    { name: "mnist1d", datasets, size: preset.size, own: preset.settings, changes: CHANGES },
    options,
  );
}
