/** Labelled images as training examples: vectors with a class, or ids of pixels to predict one by one. */

import type { ImageDataset } from "../io/datasets/image_dataset.ts";
import { imageToInput } from "../io/images/image.ts";
import type { ImagePreprocessing } from "../model/config/config.ts";
import { type Augmentation, imageCopier } from "./augmentation.ts";
import type { Examples } from "./batches.ts";

/**
 * Splits a dataset in two.
 *
 * @param dataset Any images.
 * @param heldOut How many of the last images form the second part.
 * @throws {RangeError} If either part would be empty.
 */
export function holdOut(dataset: ImageDataset, heldOut: number): [ImageDataset, ImageDataset] {
  const { count, height, width, channels, images, labels } = dataset;
  if (!Number.isSafeInteger(heldOut) || heldOut < 1 || heldOut >= count) {
    throw new RangeError(
      `Cannot hold out ${heldOut} of ${count} images: expected a whole number from 1 to ${
        count - 1
      }`,
    );
  }
  const size = height * width * channels;
  const part = (start: number, end: number): ImageDataset => ({
    ...dataset,
    count: end - start,
    images: images.subarray(start * size, end * size),
    labels: labels.subarray(start, end),
  });
  return [part(0, count - heldOut), part(count - heldOut, count)];
}

/**
 * Images to classify: inputs (batch, seqlen, d_input) by the preprocessing, targets (batch).
 *
 * @param dataset The images.
 * @param layout What the checkpoint will say of its preprocessing.
 * @param augmentation What happens to training images; evaluation has none.
 */
export function imageExamples(
  dataset: ImageDataset,
  layout: ImagePreprocessing,
  augmentation?: Augmentation,
): Examples {
  const { count, height, width, channels, labels } = dataset;
  const size = height * width * channels;
  const steps = { image: 1, row: height, pixel: height * width, patch: 0 };
  const patch = layout.patch_size ?? 1;
  return {
    count,
    seqlen: layout.step === "patch" ? height * width / patch ** 2 : steps[layout.step],
    read(draws) {
      const pixels = new Uint8Array(draws.length * size);
      const copy = imageCopier(dataset, augmentation);
      draws.forEach((draw, slot) => copy(draw, pixels.subarray(slot * size, (slot + 1) * size)));
      return {
        inputs: imageToInput(pixels, width, height, channels, layout),
        targets: Uint32Array.from(draws, ({ example }) => labels[example] ?? 0),
      };
    },
  };
}

/**
 * Grey images to predict pixel by pixel: step t sees pixel t - 1 and predicts pixel t, whose value is its id. Step 0 sees
 * `256`, or `256 + class` where the class is given.
 *
 * @param dataset The images, of one channel.
 * @param options Whether the class is given, and what happens to training images; evaluation has none.
 */
export function pixelExamples(
  dataset: ImageDataset,
  { conditional, augmentation }: {
    readonly conditional: boolean;
    readonly augmentation?: Augmentation;
  },
): Examples {
  const { count, height, width, labels } = dataset;
  const size = height * width;
  const copy = imageCopier(dataset, augmentation);
  return {
    count,
    seqlen: size,
    read(draws) {
      const inputs = new Uint32Array(draws.length * size);
      const targets = new Uint32Array(draws.length * size);
      const pixels = new Uint8Array(size);
      draws.forEach((draw, slot) => {
        copy(draw, pixels.fill(0));
        inputs[slot * size] = 256 + (conditional ? labels[draw.example] ?? 0 : 0);
        inputs.set(pixels.subarray(0, size - 1), slot * size + 1);
        targets.set(pixels, slot * size);
      });
      return { inputs, targets };
    },
  };
}
