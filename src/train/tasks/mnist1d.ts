/** `mnist1d`: series of 40 samples in ten classes, classified sample by sample. */

import { loadMnist1d } from "../../io/datasets/mnist1d.ts";
import type { Hyperparameters, ModelSize, Task, TaskOptions, TaskPreset } from "../task.ts";
import { choosePreset, COMMON } from "../task.ts";
import { classificationTask } from "./series.ts";

const SIZE: ModelSize = { d_model: 64, n_layer: 3, d_state: 16, d_conv: 4, expand: 2 };
const DEFAULTS: Omit<Hyperparameters, "seqlen"> = {
  ...COMMON,
  ...{ steps: 4000, batchSize: 64, dropout: 0.1 },
  ...{ learningRate: 4e-3, minimumLearningRate: 4e-5 },
};

/** Its presets; the first is the default. */
export const MNIST1D_PRESETS: readonly TaskPreset[] = [{
  name: "values",
  settings: DEFAULTS,
  size: SIZE,
}];

/**
 * One preset, `values`. `data` is MNIST-1D's pickle, `mnist1d_data.pkl`. The test series validate.
 *
 * @throws {SyntaxError} If the file is another.
 * @throws {RangeError} If an option is out of range.
 */
export async function mnist1dTask(options: TaskOptions = {}): Promise<Task> {
  choosePreset("mnist1d", ["values"], options);
  if (options.data === undefined) {
    throw new TypeError(
      'Cannot load the task "mnist1d": it has no data. Give mnist1d_data.pkl as data',
    );
  }
  const datasets = await loadMnist1d(options.data);
  return classificationTask(
    { name: "mnist1d", datasets, size: SIZE, own: DEFAULTS },
    options,
  );
}
