/** The data sets that `infer.ts classify` measures a model on: what is in them as the model's input, and the right classes. */

import { type AudioDataset, DEFAULT_TEST, loadAudio } from "../../io/datasets/audio.ts";
import type { ImageDataset } from "../../io/datasets/image_dataset.ts";
import { DATASET_NAMES, loadDataset } from "../../io/datasets/load_dataset.ts";
import { loadMnist1d } from "../../io/datasets/mnist1d.ts";
import { loadSeries, type SeriesDataset } from "../../io/datasets/series.ts";
import { soundToInput } from "../../io/audio/sound_input.ts";
import { imageToInput } from "../../io/images/image.ts";
import { quote } from "../../io/quote.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { type Arguments, type OptionSpec, UsageError } from "../terminal/arguments.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { imagePreprocessing, preprocessingOf } from "./classify_input.ts";
import { noteRate } from "./resampling_note.ts";

/** Labelled sequences, as a model takes them. */
export interface LabelledSet {
  /** How many. */
  readonly count: number;
  /** What they are, such as "images". */
  readonly unit: string;
  /** The right class of each, as an index of the model's. */
  readonly labels: ArrayLike<number>;
  /** Input of the sequences from `start` to below `end`, back to back. */
  inputs(start: number, end: number): Float32Array;
}

/** A data set that was read. */
export interface ReadSet {
  /** What it is called. */
  readonly name: string;
  /** Which part. */
  readonly split: Split;
  /** As the model takes it; what is to be said of it goes to stderr. */
  for(config: ModelConfig, terminal: Pick<Terminal, "writeError">): LabelledSet;
}

/** What makes of a data set what a model takes. */
type MakeSet = (config: ModelConfig, terminal: Pick<Terminal, "writeError">) => LabelledSet;

type Split = "train" | "test";

/** Sets of files that people have; those of `loadDataset` come by themselves. */
const OWN_FILES = ["series", "mnist1d", "audio"] as const;
type OwnFiles = typeof OWN_FILES[number];

/** Names that `--dataset` takes. */
const NAMES: readonly string[] = [...DATASET_NAMES, ...OWN_FILES];

/** The options of a command that classifies data sets. */
export const LABELLED_OPTIONS: readonly OptionSpec[] = [
  { name: "dataset", value: "NAME", help: `Take a whole dataset (${NAMES.join(", ")})` },
  {
    name: "data",
    value: "PATH",
    help: "Its file or folder, as train.ts takes it (default: mnist and cifar10 are downloaded)",
  },
  { name: "split", value: "NAME", help: "train or test (default test)" },
  { name: "limit", value: "N", help: "Only the dataset's first N (default: all)" },
  {
    name: "test",
    value: "PATTERN",
    help:
      "Recordings to test with, by path (default: those in a folder test, and *_0.wav to *_4.wav)",
  },
];

/**
 * Reads the options.
 *
 * @returns What loads the data set, or `undefined` where none is named.
 * @throws {UsageError} If an option is given that only a data set has, or the set's files are not named.
 */
export function labelledSetLoader(args: Arguments): (() => Promise<ReadSet>) | undefined {
  const name = args.word("dataset", NAMES);
  const data = args.text("data"), test = args.text("test");
  const split = args.word("split", ["train", "test"]) ?? "test";
  const limit = args.integer("limit", { min: 1 }) ?? Infinity;
  if (name === undefined) {
    const other = ["data", "split", "limit", "test"].find((option) =>
      args.text(option) !== undefined
    );
    if (other === undefined) return undefined;
    throw new UsageError(`Cannot use --${other}: it belongs to --dataset`);
  }
  if (test !== undefined && name !== "audio") {
    throw new UsageError("Cannot use --test: it belongs to --dataset audio");
  }
  const own = OWN_FILES.find((each) => each === name);
  return async () => {
    const makeSet = own === undefined
      ? imageSet(await loadDataset(name, split, data === undefined ? {} : { path: data }))
      : await ownSet(own, { data, split, test });
    return {
      name,
      split,
      for(config, terminal) {
        const set = makeSet(config, terminal);
        return { ...set, count: Math.min(limit, set.count) };
      },
    };
  };
}

async function ownSet(
  name: OwnFiles,
  { data, split, test = DEFAULT_TEST }: {
    readonly data: string | undefined;
    readonly split: Split;
    readonly test: string | undefined;
  },
): Promise<MakeSet> {
  if (data === undefined) {
    throw new UsageError(`Cannot use --dataset ${name}: give its files with --data`);
  }
  if (name === "audio") return audioSet((await loadAudio(data, { test }))[split]);
  const load = name === "series" ? loadSeries : loadMnist1d;
  return seriesSet((await load(data))[split]);
}

function imageSet(data: ImageDataset): MakeSet {
  const { count, width, height, channels, images, labels } = data;
  const size = height * width * channels;
  return (config) => {
    const layout = imagePreprocessing(config, `the images of "${data.name}"`);
    return {
      ...{ count, labels, unit: "images" },
      inputs: (start, end) =>
        imageToInput(images.subarray(start * size, end * size), width, height, channels, layout),
    };
  };
}

function seriesSet(data: SeriesDataset): MakeSet {
  const { count, length, values } = data;
  return (config) => {
    const { mean: [mean = 0], std: [std = 1] } = preprocessingOf("series", config, data.name);
    return {
      ...{ count, unit: "series", labels: modelLabels(data, data.labels, config) },
      inputs: (start, end) =>
        values.subarray(start * length, end * length).map((value) => (value - mean) / std),
    };
  };
}

function audioSet(data: AudioDataset): MakeSet {
  const { recordings } = data;
  const labels = Uint32Array.from(recordings, ({ label }) => label);
  return (config, terminal) => {
    const layout = preprocessingOf("audio", config, data.name);
    const other = recordings.find(({ sample_rate }) => sample_rate !== layout.sample_rate);
    if (other !== undefined) noteRate(quote(other.path), other.sample_rate, layout, terminal);
    return {
      ...{
        count: recordings.length,
        unit: "recordings",
        labels: modelLabels(data, labels, config),
      },
      inputs(start, end) {
        const size = layout.frames * layout.n_mels;
        const inputs = new Float32Array((end - start) * size);
        recordings.slice(start, end).forEach(({ samples, sample_rate }, i) =>
          inputs.set(soundToInput(samples, sample_rate, layout), i * size)
        );
        return inputs;
      },
    };
  };
}

/** The same classes as the model numbers them: by name, where it has names. */
function modelLabels(
  { name, classNames }: { readonly name: string; readonly classNames: readonly string[] },
  labels: Uint32Array,
  { labels: known }: ModelConfig,
): Uint32Array {
  if (known === undefined) return labels;
  const missing = classNames.find((each) => !known.includes(each));
  if (missing !== undefined) {
    throw new RangeError(
      `Cannot classify ${quote(name)}: it has a class ${quote(missing)}, and this model's are ${
        known.join(", ")
      }`,
    );
  }
  return labels.map((label) => known.indexOf(classNames[label] ?? ""));
}
