/** Sound as the sequence of vectors that a classifier takes: a frame a step. */

import { MelFrames, type MelLayout } from "./mel_frames.ts";
import { resampled } from "./resampler.ts";

/** How sound becomes a sequence, as a checkpoint's `preprocessing` says it. */
export interface SoundLayout extends MelLayout {
  /** Frames of a recording: shorter ones are followed by silence, of longer ones these are heard. */
  readonly frames: number;
  /** Subtracted from the logarithm of each band's power. */
  readonly mean: readonly number[];
  /** Then divides it; above 0. */
  readonly std: readonly number[];
}

/**
 * The input of a classifier: (log(floor + power) - mean[band]) / std[band].
 *
 * @param powers (frames, n_mels).
 * @param layout The checkpoint's preprocessing.
 */
export function powersToInput(
  powers: Float32Array,
  { n_mels, floor, mean, std }: Omit<SoundLayout, "frames">,
): Float32Array<ArrayBuffer> {
  const input = new Float32Array(powers.length);
  for (let i = 0; i < powers.length; i++) {
    const band = i % n_mels;
    input[i] = (Math.log(floor + (powers[i] ?? 0)) - (mean[band] ?? 0)) / (std[band] ?? 1);
  }
  return input;
}

/**
 * The frames' powers of a recording, as many as the checkpoint takes.
 *
 * @param samples From -1 to 1, at the layout's rate.
 * @returns (layout.frames, n_mels), and how many of the frames are the recording's.
 */
export function recordingPowers(
  samples: Float32Array,
  layout: Omit<SoundLayout, "mean" | "std">,
): { readonly powers: Float32Array<ArrayBuffer>; readonly length: number } {
  const { window, n_mels, frames } = layout;
  // Of less than a window there is a frame, too.
  const padded = new Float32Array(Math.max(window, samples.length));
  padded.set(samples);
  const found = new MelFrames(layout).push(padded).subarray(0, frames * n_mels);
  const powers = new Float32Array(frames * n_mels);
  powers.set(found);
  return { powers, length: found.length / n_mels };
}

/**
 * A recording as the input of a classifier of sound.
 *
 * @param samples From -1 to 1, one channel.
 * @param sampleRate Of the samples; where it is not the layout's, they are resampled.
 * @param layout The checkpoint's preprocessing.
 * @returns (layout.frames, n_mels).
 * @throws {RangeError} If the rate is none of sound.
 *
 * @example Which digit a recording is
 * ```ts
 * import { loadModel, soundToInput } from "../../../mod.ts";
 *
 * using model = await loadModel("weights/spoken-digits");
 * const layout = model.config.preprocessing;
 * if (layout?.kind === "audio") {
 *   const samples = new Float32Array(8000); // a second, from -1 to 1
 *   const { label } = await model.classify(soundToInput(samples, 8000, layout));
 *   label; // "3", say
 * }
 * ```
 */
export function soundToInput(
  samples: Float32Array,
  sampleRate: number,
  layout: SoundLayout,
): Float32Array<ArrayBuffer> {
  requireRate("this sound", sampleRate);
  const own = resampled(samples, sampleRate, layout.sample_rate);
  return powersToInput(recordingPowers(own, layout).powers, layout);
}

/** Samples a second that a recording may have: sound below the least is none, and nothing records more than the most. */
const LEAST_RATE = 1000, MOST_RATE = 768_000;

/**
 * Refuses what a file may state, and no recorder writes: resampling it would take all memory, or all time.
 *
 * @param what What it is, such as the quoted name of a file.
 * @throws {RangeError} If the rate is none of sound.
 */
export function requireRate(what: string, found: number): void {
  if (Number.isSafeInteger(found) && found >= LEAST_RATE && found <= MOST_RATE) return;
  throw new RangeError(
    `Cannot use ${what}: it has ${found} samples a second, expected ${LEAST_RATE} to ${MOST_RATE}`,
  );
}
