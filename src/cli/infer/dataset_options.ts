/** The options that name a data set of images, and loading it with them. */

import type { ImageDataset } from "../../io/datasets/image_dataset.ts";
import { DATASET_NAMES, loadDataset } from "../../io/datasets/load_dataset.ts";
import { type Arguments, type OptionSpec, UsageError } from "../terminal/arguments.ts";

/** The options of a command that goes through data sets. */
export const DATASET_OPTIONS: readonly OptionSpec[] = [
  { name: "dataset", value: "NAME", help: `Take a whole dataset (${DATASET_NAMES.join(", ")})` },
  { name: "data", value: "PATH", help: "Folder of the dataset's files (default: downloaded)" },
  { name: "split", value: "NAME", help: "train or test (default test)" },
  { name: "limit", value: "N", help: "Only the dataset's first N (default: all)" },
];

/** Loads the images that the options ask for. */
export type DatasetLoader = () => Promise<ImageDataset>;

/**
 * Reads the options.
 *
 * @returns What loads the data set, or `undefined` where none is named.
 * @throws {UsageError} If an option is given that only a data set has.
 */
export function datasetLoader(args: Arguments): DatasetLoader | undefined {
  const name = args.word("dataset", DATASET_NAMES);
  const path = args.text("data");
  const split = args.word("split", ["train", "test"]) ?? "test";
  const limit = args.integer("limit", { min: 1 }) ?? Infinity;
  if (name === undefined) {
    const other = ["data", "split", "limit"].find((option) => args.text(option) !== undefined);
    if (other === undefined) return undefined;
    throw new UsageError(`Cannot use --${other}: it belongs to --dataset`);
  }
  return async () => {
    const data = await loadDataset(name, split, path === undefined ? {} : { path });
    const count = Math.min(limit, data.count);
    const size = data.height * data.width * data.channels;
    return {
      ...data,
      count,
      images: data.images.subarray(0, count * size),
      labels: data.labels.subarray(0, count),
    };
  };
}
