/** Labelled recordings as training examples: frames of the power in bands of frequency, changed at random anew each epoch. */

import { resampled } from "../io/audio/resampler.ts";
import { powersToInput, recordingPowers } from "../io/audio/sound_input.ts";
import type { AudioDataset } from "../io/datasets/audio.ts";
import type { AudioPreprocessing } from "../model/config/config.ts";
import { foldIn, randomAt, type RandomKey, randomKey } from "../model/random.ts";
import type { Draw, Examples } from "./batches.ts";

/** Frames of recordings, before the logarithm. */
export interface Frames {
  /** Recordings. */
  readonly count: number;
  /** Powers, (count, frames, n_mels); silence, which is 0, after each recording. */
  readonly powers: Float32Array<ArrayBuffer>;
  /** How many frames each recording has, (count). */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Class of each, (count). */
  readonly labels: Uint32Array<ArrayBuffer>;
}

/** What may happen to a training recording. */
export interface AudioAugmentation {
  /** Of all that is drawn. */
  readonly seed: number;
  /** Largest change of its length, as a share of it. */
  readonly stretch: number;
  /** Largest change of its frequencies, as a share of them: voices are higher or lower. */
  readonly pitch: number;
  /** It begins up to this many frames late, as far as there is room. */
  readonly delay: number;
  /** Largest change of its loudness, in dB, in both directions. */
  readonly gain_db: number;
  /** Loudest noise that is added, in dB of full scale; the softest is that of silence. */
  readonly noise_db: number;
  /** Most frames, and most bands, that are replaced by the mean (SpecAugment, Park et al. 2019). */
  readonly mask: number;
}

/** Of the logarithm: a third of a dB. */
const LEAST_STD = 0.1;

/** Numbers that a recording draws: one of these each. */
const DRAWN = {
  ...{ stretch: 0, pitch: 1, delay: 2, gain: 3, noise: 4, tilt: 5, grain: 6 },
  ...{ maskFrames: 7, firstFrame: 8, maskBands: 9, firstBand: 10 },
} as const;

/** The frames of all recordings of a part; those of another rate than the layout's are resampled. */
export function audioFrames(
  { recordings }: AudioDataset,
  layout: Omit<AudioPreprocessing, "mean" | "std">,
): Frames {
  const size = layout.frames * layout.n_mels;
  const powers = new Float32Array(recordings.length * size);
  const lengths = new Uint32Array(recordings.length);
  recordings.forEach(({ samples, sample_rate }, i) => {
    const found = recordingPowers(resampled(samples, sample_rate, layout.sample_rate), layout);
    powers.set(found.powers, i * size);
    lengths[i] = found.length;
  });
  const labels = Uint32Array.from(recordings, ({ label }) => label);
  return { count: recordings.length, powers, lengths, labels };
}

/** Some of the recordings. */
export function pickFrames(all: Frames, wanted: (index: number) => boolean): Frames {
  const indices = [...all.labels.keys()].filter(wanted);
  const size = all.powers.length / all.count;
  const powers = new Float32Array(indices.length * size);
  indices.forEach((from, to) =>
    powers.set(all.powers.subarray(from * size, (from + 1) * size), to * size)
  );
  const pick = (values: Uint32Array) => Uint32Array.from(indices, (index) => values[index] ?? 0);
  return { count: indices.length, powers, lengths: pick(all.lengths), labels: pick(all.labels) };
}

/** Mean and standard deviation of each band's logarithm, over the recordings' frames, without the silence after them. */
export function audioStandardization(
  { powers, lengths, count }: Frames,
  { floor, frames, n_mels }: Pick<AudioPreprocessing, "floor" | "frames" | "n_mels">,
): Pick<AudioPreprocessing, "mean" | "std"> {
  const sums = new Float64Array(n_mels), squares = new Float64Array(n_mels);
  let total = 0;
  for (let example = 0; example < count; example++) {
    const length = lengths[example] ?? 0;
    total += length;
    for (let i = 0; i < length * n_mels; i++) {
      const value = Math.log(floor + (powers[example * frames * n_mels + i] ?? 0));
      const band = i % n_mels;
      sums[band] = (sums[band] ?? 0) + value;
      squares[band] = (squares[band] ?? 0) + value ** 2;
    }
  }
  // Four decimals are enough for sound, and can be read in a config.
  const rounded = (value: number) => Number(value.toFixed(4));
  const mean = Array.from(sums, (sum) => rounded(sum / total));
  const std = Array.from(squares, (sum, band) => {
    const variance = sum / total - ((sums[band] ?? 0) / total) ** 2;
    return rounded(Math.sqrt(Math.max(0, variance)));
  });
  if (std.every((value) => value === 0)) {
    throw new RangeError(
      "Cannot train on these recordings: all of their frames have one and the same power",
    );
  }
  // Bands that are silent throughout, as of telephones, would make anything that is ever in them enormous.
  return { mean, std: std.map((value) => Math.max(value, LEAST_STD)) };
}

/**
 * Recordings to classify: inputs (batch, frames, n_mels), targets (batch).
 *
 * @param data Their frames.
 * @param layout What the checkpoint will say of its preprocessing.
 * @param augmentation What happens to training recordings; evaluation has none.
 */
export function audioExamples(
  { count, powers, lengths, labels }: Frames,
  layout: AudioPreprocessing,
  augmentation?: AudioAugmentation,
): Examples {
  const { frames, n_mels } = layout;
  const size = frames * n_mels;
  const key = randomKey(augmentation?.seed ?? 0, "changes of recordings");
  return {
    count,
    seqlen: frames,
    read(draws) {
      const inputs = new Float32Array(draws.length * size);
      draws.forEach(({ example, epoch }: Draw, slot) => {
        const own = powers.subarray(example * size, (example + 1) * size);
        const drawn = foldIn(foldIn(key, epoch), example);
        const heard = augmentation === undefined
          ? powersToInput(own, layout)
          : changed(own, lengths[example] ?? 0, { drawn, layout, augmentation });
        inputs.set(heard, slot * size);
      });
      return { inputs, targets: Uint32Array.from(draws, ({ example }) => labels[example] ?? 0) };
    },
  };
}

/** What a change is made with. */
interface Change {
  readonly drawn: RandomKey;
  readonly layout: AudioPreprocessing;
  readonly augmentation: AudioAugmentation;
}

/** A recording as it might have been spoken in another voice, elsewhere. */
function changed(powers: Float32Array, length: number, change: Change): Float32Array {
  const moved = move(powers, length, change);
  addNoise(moved, change);
  const input = powersToInput(moved, change.layout);
  mask(input, change);
  return input;
}

/** Stretched, shifted in frequency, delayed, louder or softer: each frame and band between its two nearest. */
function move(
  powers: Float32Array,
  length: number,
  { drawn, layout: { frames, n_mels }, augmentation }: Change,
): Float32Array {
  const { stretch, pitch, delay, gain_db } = augmentation;
  const pace = 1 + stretch * signed(drawn, DRAWN.stretch);
  const warp = 1 + pitch * signed(drawn, DRAWN.pitch);
  const gain = 10 ** (gain_db * signed(drawn, DRAWN.gain) / 10);
  const room = Math.max(0, Math.min(delay, frames - Math.ceil(length / pace)));
  const start = Math.floor(randomAt(drawn, DRAWN.delay) * (room + 1));
  const moved = new Float32Array(frames * n_mels);
  for (let frame = start; frame < frames; frame++) {
    const from = (frame - start) * pace;
    if (from > length - 1) break;
    const t = Math.floor(from), late = from - t;
    for (let band = 0; band < n_mels; band++) {
      const place = Math.min(band * warp, n_mels - 1);
      const b = Math.floor(place), high = place - b;
      const at = t * n_mels + b;
      // At the ends, the neighbor that is not there has weight 0.
      const now = (1 - high) * (powers[at] ?? 0) + high * (powers[at + 1] ?? 0);
      const then = (1 - high) * (powers[at + n_mels] ?? 0) + high * (powers[at + n_mels + 1] ?? 0);
      moved[frame * n_mels + band] = gain * ((1 - late) * now + late * then);
    }
  }
  return moved;
}

/** Noise of one level and one slope over the bands, in all frames. */
function addNoise(powers: Float32Array, { drawn, layout, augmentation }: Change): void {
  const { n_mels, floor } = layout;
  const softest = 10 * Math.log10(floor);
  if (augmentation.noise_db <= softest) return;
  const level = softest + (augmentation.noise_db - softest) * randomAt(drawn, DRAWN.noise);
  const slope = 10 * signed(drawn, DRAWN.tilt);
  const bands = Float64Array.from(
    { length: n_mels },
    (_, band) => 10 ** ((level + slope * (2 * band / n_mels - 1)) / 10),
  );
  let grain = Math.floor(randomAt(drawn, DRAWN.grain) * 2 ** 32);
  for (let i = 0; i < powers.length; i++) {
    // A linear congruential generator (Numerical Recipes): thousands of numbers that need not be good ones.
    grain = (Math.imul(grain, 1664525) + 1013904223) >>> 0;
    powers[i] = (powers[i] ?? 0) - Math.log((grain + 1) / 2 ** 32) * (bands[i % n_mels] ?? 0);
  }
}

function mask(input: Float32Array, { drawn, layout, augmentation }: Change): void {
  const { frames, n_mels } = layout;
  const span = (width: number, first: number, all: number): readonly [number, number] => {
    const size = Math.floor(randomAt(drawn, width) * (augmentation.mask + 1));
    const start = Math.floor(randomAt(drawn, first) * (all - size + 1));
    return [start, start + size];
  };
  const [from, to] = span(DRAWN.maskFrames, DRAWN.firstFrame, frames);
  input.fill(0, from * n_mels, to * n_mels);
  const [low, high] = span(DRAWN.maskBands, DRAWN.firstBand, n_mels);
  for (let frame = 0; frame < frames; frame++) {
    input.fill(0, frame * n_mels + low, frame * n_mels + high);
  }
}

/** Uniform in [-1, 1). */
function signed(drawn: RandomKey, index: number): number {
  return 2 * randomAt(drawn, index) - 1;
}
