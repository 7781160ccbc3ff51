/** MNIST-1D (Greydanus 2020): 4,000 training and 1,000 test series of 40 samples, in ten classes, a NumPy pickle. */

import { toFloat32 } from "../dtype.ts";
import { PickleDict, unpickle } from "../pytorch/pickle.ts";
import { type NumpyArray, numpyArray } from "../pytorch/pickle_numpy.ts";
import { quote } from "../quote.ts";
import { readDataFile } from "./data_file.ts";
import type { Split } from "./image_dataset.ts";
import type { SeriesDataset } from "./series.ts";

type SeriesInMemory = SeriesDataset<Float32Array<ArrayBuffer>>;

const CLASS_NAMES: readonly string[] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** The members of the pickled dict. */
const MEMBERS = { train: { x: "x", y: "y" }, test: { x: "x_test", y: "y_test" } } as const;

/**
 * Reads the pickle: a dict of the arrays `x` (count, length), `y` (count), `x_test` and `y_test`, of any sizes.
 *
 * Nothing in the file is run.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @returns Both parts, labels 0 to 9.
 * @throws {SyntaxError} If the file is not a pickle, an array is missing or of another shape, a value is not finite, a
 * label is not 0 to 9, or all labels of `y` are the same.
 */
export function parseMnist1d(
  bytes: Uint8Array,
  name: string,
): Readonly<Record<Split, SeriesInMemory>> {
  const value = unpickle(bytes, name);
  if (!(value instanceof PickleDict)) {
    throw new SyntaxError(`Cannot read ${quote(name)} as MNIST-1D: it is no dict of arrays`);
  }
  const train = readPart(value, "train", name), test = readPart(value, "test", name);
  if (train.length !== test.length) {
    throw new SyntaxError(
      `Cannot read ${quote(name)} as MNIST-1D: series have ${train.length} values in "x" and ` +
        `${test.length} in "x_test": they must be equal`,
    );
  }
  if (train.labels.every((label) => label === train.labels[0])) {
    throw new SyntaxError(
      `Cannot use ${quote(name)}: all ${train.count} series of "x" are of class ${
        train.labels[0]
      }, ` +
        `expected two classes or more`,
    );
  }
  return { train, test };
}

/**
 * Loads MNIST-1D from its pickle, `mnist1d_data.pkl`.
 *
 * @param path The file.
 * @throws {SyntaxError} If its contents are not MNIST-1D's: see `parseMnist1d`.
 */
export async function loadMnist1d(path: string): Promise<Readonly<Record<Split, SeriesInMemory>>> {
  return parseMnist1d(await readDataFile(path, "MNIST-1D's pickle"), path);
}

function readPart(dict: PickleDict, split: Split, name: string): SeriesInMemory {
  const { x, y } = MEMBERS[split];
  const fail = (detail: string) =>
    new SyntaxError(`Cannot read ${quote(name)} as MNIST-1D: ${detail}`);
  const array = (member: string, rank: number): NumpyArray => {
    const found = numpyArray(dict.entries.get(member) ?? null);
    if (
      found === undefined || found.shape.length !== rank || found.shape.includes(0) ||
      found.dtype === "C64" || found.fortranOrder
    ) {
      const shape = found === undefined ? "no array" : `of shape [${found.shape.join(", ")}]`;
      throw fail(`"${member}" is ${shape}, expected numbers in ${rank} dimensions`);
    }
    return found;
  };
  const samples = array(x, 2), classes = array(y, 1);
  const [count = 0, length = 0] = samples.shape;
  if (classes.shape[0] !== count) {
    throw fail(`"${x}" has ${count} series and "${y}" ${classes.shape[0]} labels`);
  }
  const values = new Float32Array(toFloat32(samples.bytes, samples.dtype));
  const bad = values.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    throw fail(`value ${bad % length} of series ${Math.floor(bad / length)} is ${values[bad]}`);
  }
  const labels = toFloat32(classes.bytes, classes.dtype);
  const wrong = labels.findIndex((label) => CLASS_NAMES[label] === undefined);
  if (wrong >= 0) throw fail(`label ${wrong} is ${labels[wrong]}, expected 0 to 9`);
  return {
    name: split === "train" ? "MNIST-1D's training series" : "MNIST-1D's test series",
    count,
    length,
    values,
    labels: Uint32Array.from(labels),
    classNames: CLASS_NAMES,
  };
}
