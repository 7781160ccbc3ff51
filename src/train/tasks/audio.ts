/** `audio`: recordings in classes, such as spoken words, heard frame by frame. */

import { type AudioDataset, loadAudio } from "../../io/datasets/audio.ts";
import type { AudioPreprocessing } from "../../model/config/config.ts";
import {
  type AudioAugmentation,
  audioExamples,
  audioFrames,
  audioStandardization,
  type Frames,
  pickFrames,
} from "../audio_examples.ts";
import { orderedSource, shuffledSource } from "../batches.ts";
import { dataHash } from "../data_hash.ts";
import { heldOutOf } from "../held_out.ts";
import type { Hyperparameters, Task, TaskOptions, TaskPreset } from "../task.ts";
import { checkLength, choosePreset, COMMON, newConfig, settings } from "../task.ts";

/** Length of a frame and of the way to the next, in seconds: voices change no faster. The window becomes a power of two. */
const WINDOW_S = 0.032, HOP_S = 0.016;
/** Frames of a recording: 1.04 s, which is longer than all but one in two hundred spoken digits. */
const FRAMES = 64;
const N_MELS = 40;
/** Below it there are hums and pops, and no voices. */
const F_MIN = 60;
/** Silence, in power: -90 dB of full scale, about the noise of 16 bits. */
const FLOOR = 1e-9;
/** Of ten recordings one validates. */
const VALIDATION_SHARE = 10;

const PRESETS: readonly (TaskPreset & { readonly settings: Hyperparameters })[] = [{
  name: "words",
  size: { d_model: 64, n_layer: 4, d_state: 16, d_conv: 4, expand: 2 },
  settings: {
    ...COMMON,
    ...{ steps: 3000, batchSize: 64, seqlen: FRAMES, dropout: 0.1, labelSmoothing: 0.1 },
    ...{ learningRate: 4e-3, minimumLearningRate: 4e-5 },
  },
}, {
  name: "small",
  isDefaultOnCpu: true,
  note: "60 s of CPU time, and 96.67% of the test recordings of spoken digits",
  size: { d_model: 48, n_layer: 2, d_state: 16, d_conv: 4, expand: 2 },
  settings: {
    ...COMMON,
    ...{ steps: 800, batchSize: 32, seqlen: FRAMES, dropout: 0.1, evaluateEvery: 200 },
    ...{ learningRate: 5e-3, minimumLearningRate: 5e-5 },
  },
}];

const AUGMENTATION: Omit<AudioAugmentation, "seed"> = {
  ...{ stretch: 0.2, pitch: 0.12, delay: 16, gain_db: 12, noise_db: -60, mask: 8 },
};

/** Its presets; the first is the default. */
export const AUDIO_PRESETS: readonly TaskPreset[] = PRESETS;

/**
 * Presets `words` (the default) and `small`, for a CPU. `data` is a folder or a TAR archive of WAV files, each of which is
 * of the class that its folder or the beginning of its name says; `test` is a pattern of the paths of those to test with,
 * and every tenth of the others validates, or as many as `heldOut` says. The model takes the sample rate that most of them
 * have; the others are resampled.
 *
 * @throws {SyntaxError} If a file is no WAV file, or there are fewer than two classes.
 * @throws {RangeError} If a file's sample rate is none of sound, or an option is out of range.
 */
export async function audioTask(options: TaskOptions = {}): Promise<Task> {
  const name = choosePreset("audio", ["words", "small"], options);
  const preset = PRESETS.find((each) => each.name === name);
  if (preset === undefined) throw new Error(`The task "audio" has no preset "${name}"`);
  if (options.data === undefined) {
    throw new TypeError(
      'Cannot load the task "audio": it has no data. Give a folder or a TAR archive of WAV files as data',
    );
  }
  const defaults = settings(preset.settings, options);
  checkLength("audio", FRAMES, options);
  const { train, test } = await loadAudio(options.data, { test: options.test });
  const layout = layoutFor(train);
  const all = audioFrames(train, layout), tested = audioFrames(test, layout);
  const [trained, validated] = split(all, tested, options.heldOut);
  const preprocessing: AudioPreprocessing = { ...layout, ...audioStandardization(trained, layout) };
  const { batchSize, seed } = defaults;
  const ordered = (frames: Frames) =>
    orderedSource(audioExamples(frames, preprocessing), { batchSize });
  const count = (frames: Frames) => frames.count.toLocaleString("en-US");
  const n_classes = train.classNames.length;
  const { sample_rate } = layout;
  const others = [train, test].flatMap(({ recordings }) => recordings)
    .filter((recording) => recording.sample_rate !== sample_rate).length;
  const resampledNote = others === 0
    ? ""
    : `, ${others.toLocaleString("en-US")} resampled to ${sample_rate} samples a second`;
  return {
    name: "audio",
    config: newConfig(preset.size, {
      input: { kind: "linear", d_input: N_MELS, bias: true },
      head: { kind: "classifier", n_classes, pool: "mean", bias: true },
      preprocessing,
      labels: train.classNames,
    }, options),
    defaults,
    train: shuffledSource(
      audioExamples(trained, preprocessing, { ...AUGMENTATION, seed }),
      { batchSize, seed },
    ),
    validation: ordered(validated),
    ...(validated === tested ? {} : { test: ordered(tested) }),
    dataHash: () => dataHash([all, tested].flatMap(({ powers, labels }) => [powers, labels])),
    summary: `${count(trained)} recordings to train on, ${count(validated)} to validate with` +
      `${
        validated === tested ? "" : `, ${count(tested)} to test with`
      }, ${n_classes} classes${resampledNote}`,
  };
}

function layoutFor({ sample_rate }: AudioDataset): Omit<AudioPreprocessing, "mean" | "std"> {
  return {
    ...{ kind: "audio", sample_rate, n_mels: N_MELS, f_min: F_MIN, f_max: sample_rate / 2 },
    window: 2 ** Math.round(Math.log2(WINDOW_S * sample_rate)),
    hop: Math.round(HOP_S * sample_rate),
    ...{ floor: FLOOR, frames: FRAMES, margin_db: 12, lead_frames: 4, end_frames: 13 },
  };
}

/** What trains, and what validates. */
function split(all: Frames, tested: Frames, heldOut: number | undefined): [Frames, Frames] {
  const wanted = heldOut ?? Math.max(1, Math.floor(all.count / VALIDATION_SHARE));
  if (wanted === 0) return [all, tested];
  const isHeld = heldOutOf(all.count, wanted, "recordings");
  return [pickFrames(all, (index) => !isHeld(index)), pickFrames(all, isHeld)];
}
