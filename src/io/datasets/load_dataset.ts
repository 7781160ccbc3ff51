/** Datasets by name. A new one is a file with a loader, and a line here. */

import { loadCifar10 } from "./cifar10.ts";
import type { ImageDataset, Split } from "./image_dataset.ts";
import { loadMnist } from "./mnist.ts";

/** Options of `loadDataset`. */
export interface DatasetOptions {
  /**
   * Folder that holds the dataset's original files.
   *
   * @default {undefined} The dataset's own source, downloaded on first use.
   */
  readonly path?: string;
}

type Loader = (split: Split, options: DatasetOptions) => Promise<ImageDataset>;

const LOADERS: ReadonlyMap<string, Loader> = new Map<string, Loader>([
  ["mnist", loadMnist],
  ["cifar10", loadCifar10],
]);

/** Names that `loadDataset` takes. */
export const DATASET_NAMES: readonly string[] = [...LOADERS.keys()];

/**
 * Loads a part of a dataset.
 *
 * @param name One of `DATASET_NAMES`.
 * @param split `"train"` or `"test"`.
 * @returns All of its images and labels, in the publishers' order.
 * @throws {RangeError} If there is no dataset of that name.
 * @throws {SyntaxError} If the files are not the dataset's.
 *
 * @example Usage
 * ```ts ignore
 * import { loadDataset } from "./load_dataset.ts";
 *
 * const { count, images, labels } = await loadDataset("mnist", "test");
 * ```
 */
export async function loadDataset(
  name: string,
  split: Split,
  options: DatasetOptions = {},
): Promise<ImageDataset> {
  const loader = LOADERS.get(name);
  if (loader === undefined) {
    throw new RangeError(
      `Cannot load the dataset "${name}": the known ones are ${DATASET_NAMES.join(", ")}`,
    );
  }
  return await loader(split, options);
}
