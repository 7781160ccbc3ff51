/** Labelled images as training examples: vectors with a class, or ids of pixels to predict one by one. */

import type { ImageDataset } from "../io/datasets/image_dataset.ts";
import { imageToInput } from "../io/image.ts";
import type { ImagePreprocessing } from "../model/config.ts";
import type { Draw, Examples } from "./batches.ts";
import { foldIn, randomAt, randomKey } from "./random.ts";

/** How images are moved at random, anew each epoch. */
export interface Augmentation {
  /** Images move by up to this many pixels in each direction; what comes in from outside is 0. */
  readonly shift: number;
  /** Whether half of them are mirrored. */
  readonly flip: boolean;
  /** Of the random moves. */
  readonly seed: number;
}

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
 * @param augmentation How training images are moved; evaluation has none.
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
 * @param options Whether the class is given.
 */
export function pixelExamples(
  dataset: ImageDataset,
  { conditional }: { readonly conditional: boolean },
): Examples {
  const { count, height, width, images, labels } = dataset;
  const size = height * width;
  return {
    count,
    seqlen: size,
    read(draws) {
      const inputs = new Uint32Array(draws.length * size);
      const targets = new Uint32Array(draws.length * size);
      draws.forEach(({ example }, slot) => {
        const pixels = images.subarray(example * size, (example + 1) * size);
        inputs[slot * size] = 256 + (conditional ? labels[example] ?? 0 : 0);
        inputs.set(pixels.subarray(0, size - 1), slot * size + 1);
        targets.set(pixels, slot * size);
      });
      return { inputs, targets };
    },
  };
}

/** Copies an image's pixels, moved by what is drawn for it in that epoch. */
function imageCopier(
  { images, height, width, channels }: ImageDataset,
  augmentation: Augmentation | undefined,
): (draw: Draw, to: Uint8Array) => void {
  const size = height * width * channels;
  if (augmentation === undefined) {
    return ({ example }, to) => to.set(images.subarray(example * size, (example + 1) * size));
  }
  const { shift, flip, seed } = augmentation;
  const key = randomKey(seed, "moves of images");
  return ({ example, epoch }, to) => {
    const own = foldIn(foldIn(key, epoch), example);
    const move = (index: number) => Math.floor(randomAt(own, index) * (2 * shift + 1)) - shift;
    const dx = move(0), dy = move(1), mirrored = flip && randomAt(own, 2) < 0.5;
    const start = example * size;
    for (let y = 0; y < height; y++) {
      const fromY = y + dy;
      if (fromY < 0 || fromY >= height) continue;
      const row = start + fromY * width * channels, toRow = y * width * channels;
      if (!mirrored) {
        const first = Math.max(0, -dx), end = Math.min(width, width - dx);
        const moved = images.subarray(row + (first + dx) * channels, row + (end + dx) * channels);
        to.set(moved, toRow + first * channels);
        continue;
      }
      for (let x = 0; x < width; x++) {
        const fromX = width - 1 - x + dx;
        if (fromX < 0 || fromX >= width) continue;
        const from = row + fromX * channels, at = toRow + x * channels;
        for (let c = 0; c < channels; c++) to[at + c] = images[from + c] ?? 0;
      }
    }
  };
}
