/** `mnist-pixels`: a model of handwritten digits that predicts the next pixel, one of 256 values, 784 times. */

import { loadMnist } from "../../io/datasets/mnist.ts";
import { pixelExamples } from "../image_examples.ts";
import { SettingError } from "../setting_error.ts";
import type { Hyperparameters, ModelSize, Task, TaskOptions, TaskPreset } from "../task.ts";
import { checkLength, choosePreset, COMMON, newConfig, settings } from "../task.ts";
import { splitSources } from "./image_sources.ts";

const PIXEL_VALUES = 256;
/**
 * Images move in this part of a run. Then they stay where they are, for where a digit lies says something too: the model
 * learns that while the learning rate is low, and too late to learn the images by heart.
 */
const MOVING_PART = 0.8;
/**
 * A convolution of 32 pixels reaches the row above: without it the state alone has to remember what was there. With it, a
 * small model learnt as fast with 4 states a channel as with 16, and faster in twice as many blocks of half the channels.
 */
const SIZE: ModelSize = { d_model: 256, n_layer: 10, d_state: 8, d_conv: 32, expand: 1 };
const DEFAULTS: Hyperparameters = {
  ...COMMON,
  // 29 times all images but 2,000; after 25 the validation loss no longer falls.
  ...{ steps: 26_500, batchSize: 64, seqlen: 784, warmupSteps: 300, evaluateEvery: 2500 },
  ...{ learningRate: 3e-3, minimumLearningRate: 1e-5 },
};

interface Preset extends TaskPreset {
  readonly settings: Hyperparameters;
}

const PRESETS: Readonly<Record<"conditional" | "unconditional" | "small", Preset>> = {
  conditional: { name: "conditional", settings: DEFAULTS, size: SIZE },
  unconditional: { name: "unconditional", settings: DEFAULTS, size: SIZE },
  small: {
    name: "small",
    isDefaultOnCpu: true,
    note: "12 min of CPU time, and 0.6523 nats a pixel of the test images",
    size: { d_model: 64, n_layer: 4, d_state: 8, d_conv: 32, expand: 1 },
    settings: {
      ...COMMON,
      ...{ steps: 1000, batchSize: 8, seqlen: 784, evaluateEvery: 250 },
      ...{ learningRate: 6e-3, minimumLearningRate: 6e-5 },
    },
  },
};

/** Its presets; the first is the default. */
export const MNIST_PIXELS_PRESETS: readonly TaskPreset[] = Object.values(PRESETS);

/**
 * Presets `conditional` (the first id is 256 + the digit: ten ids more), `unconditional` (it is 256) and `small`, for a
 * CPU, which is conditional too. The ids of pixels alone can be drawn. With `changes.shift` training images move by up to so
 * many pixels in each direction, in the first four fifths of the run. `data` is a folder of MNIST's original files.
 *
 * @throws {SyntaxError} If the files are not MNIST's.
 * @throws {RangeError} If an option is out of range.
 */
export async function mnistPixelsTask(options: TaskOptions = {}): Promise<Task> {
  const names = ["conditional", "unconditional", "small"] as const;
  const { name, size, settings: own } = PRESETS[choosePreset("mnist-pixels", names, options)];
  const conditional = name !== "unconditional";
  const defaults = settings(own, options);
  checkLength("mnist-pixels", DEFAULTS.seqlen, options);
  const shift = shiftOf(options);
  const path = options.data === undefined ? {} : { path: options.data };
  // One after the other: where both are wrong, it is always the training images that are named.
  const train = await loadMnist("train", path), test = await loadMnist("test", path);
  const vocab_size = PIXEL_VALUES + (conditional ? train.classNames.length : 1);
  const config = newConfig(size, {
    input: { kind: "embedding", vocab_size },
    head: { kind: "lm", vocab_size, tied: true },
    real_vocab_size: PIXEL_VALUES,
    preprocessing: { kind: "pixels", width: 28, height: 28 },
    ...(conditional ? { labels: train.classNames } : {}),
  }, options);
  const { seed, steps, accumulation, batchSize } = defaults;
  const movingExamples = MOVING_PART * steps * accumulation * batchSize;
  const sources = splitSources({ train, test }, {
    options,
    defaults,
    training: (dataset) => {
      const until = Math.floor(movingExamples / dataset.count);
      return pixelExamples(dataset, {
        conditional,
        ...(shift === 0 ? {} : { augmentation: { seed, shift, flip: false, until } }),
      });
    },
    evaluation: (dataset) => pixelExamples(dataset, { conditional }),
    changes: shift === 0 ? "" : ` (shift ${shift})`,
  });
  return { name: "mnist-pixels", config, defaults, ...sources };
}

/** @throws {SettingError} If the options ask for other changes than whole pixels: grey values stay what they are. */
function shiftOf({ changes = {} }: TaskOptions): number {
  const { shift = 0, ...others } = changes;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw new SettingError(
      `Cannot load the task "mnist-pixels" with ${other}: of the changes it takes shift alone`,
    );
  }
  if (Number.isSafeInteger(shift) && shift >= 0) return shift;
  throw new SettingError(
    `Cannot train: shift is ${shift}, expected a whole number of pixels from 0`,
  );
}
