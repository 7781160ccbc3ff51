/** The three sources of a task on labelled images. */

import type { ImageDataset, Split } from "../../io/datasets/image_dataset.ts";
import type { ImagePreprocessing } from "../../model/config/config.ts";
import { type Examples, orderedSource, shuffledSource } from "../batches.ts";
import type { Augmentation } from "../augmentation.ts";
import { dataHash } from "../data_hash.ts";
import { holdOut, imageExamples } from "../image_examples.ts";
import type { Hyperparameters, Task, TaskOptions } from "../task.ts";

/** Images held out to validate with, where the options say nothing. */
const HELD_OUT = 5000;

/** Images to classify. */
export function imageSources(
  datasets: Readonly<Record<Split, ImageDataset>>,
  { options, defaults, preprocessing, augmentation }: {
    readonly options: TaskOptions;
    readonly defaults: Hyperparameters;
    readonly preprocessing: ImagePreprocessing;
    readonly augmentation: Augmentation | undefined;
  },
): Pick<Task, "train" | "validation" | "test" | "summary" | "dataHash"> {
  return splitSources(datasets, {
    options,
    defaults,
    training: (dataset) => imageExamples(dataset, preprocessing, augmentation),
    evaluation: (dataset) => imageExamples(dataset, preprocessing),
  });
}

/** Any examples made of images: the last training images validate, or the test images where none are held out. */
export function splitSources(
  { train, test }: Readonly<Record<Split, ImageDataset>>,
  { options, defaults: { batchSize, seed }, training, evaluation, changes = "" }: {
    readonly options: TaskOptions;
    readonly defaults: Hyperparameters;
    readonly training: (dataset: ImageDataset) => Examples;
    readonly evaluation: (dataset: ImageDataset) => Examples;
    /** What happens to training images, in words for the summary: a run goes on with the same alone. */
    readonly changes?: string;
  },
): Pick<Task, "train" | "validation" | "test" | "summary" | "dataHash"> {
  const heldOut = options.heldOut ?? HELD_OUT;
  const [trained, validated] = heldOut === 0 ? [train, test] : holdOut(train, heldOut);
  const count = (images: ImageDataset) => images.count.toLocaleString("en-US");
  const ordered = (dataset: ImageDataset) => orderedSource(evaluation(dataset), { batchSize });
  return {
    train: shuffledSource(training(trained), { batchSize, seed }),
    validation: ordered(validated),
    ...(heldOut === 0 ? {} : { test: ordered(test) }),
    dataHash: () => dataHash([train, test].flatMap(({ images, labels }) => [images, labels])),
    summary:
      `${count(trained)} images to train on${changes}, ${count(validated)} to validate with` +
      (heldOut === 0 ? "" : `, ${count(test)} to test with`),
  };
}
