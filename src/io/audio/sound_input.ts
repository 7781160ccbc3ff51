/** Sound as the sequence of vectors that a classifier takes: a frame a step. */

import { MelFrames, type MelLayout } from "./mel_frames.ts";

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
 * @param sampleRate Of the samples.
 * @param layout The checkpoint's preprocessing.
 * @returns (layout.frames, n_mels).
 * @throws {RangeError} If the rate is not the layout's.
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
  requireRate("this sound", sampleRate, layout);
  return powersToInput(recordingPowers(samples, layout).powers, layout);
}

/**
 * Refuses sound that would be heard too slow or too fast.
 *
 * @param what What it is, such as the quoted name of a file.
 * @throws {RangeError} If its rate is not the layout's.
 */
export function requireRate(
  what: string,
  found: number,
  { sample_rate }: Pick<SoundLayout, "sample_rate">,
): void {
  if (found === sample_rate) return;
  throw new RangeError(
    `Cannot use ${what}: it has ${found} samples a second, and this model takes ${sample_rate}: ` +
      `resample it first, or record it so (arecord -r ${sample_rate})`,
  );
}
