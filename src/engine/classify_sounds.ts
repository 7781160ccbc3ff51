/** Classification of sounds in a stream: each is named once it is over, and silence is no sound. */

import { Resampler } from "../io/audio/resampler.ts";
import { Sounds, type StreamLayout } from "../io/audio/sounds.ts";
import { untilAborted } from "../io/streams/until_aborted.ts";
import type { Classification, ClassifyOptions } from "./classify.ts";
import type { Model } from "./model.ts";

/** What a classifier says of a sound in a stream. */
export interface HeardSound extends Classification {
  /** When it began, in milliseconds of the stream. */
  readonly startMs: number;
  /** When it ended. */
  readonly endMs: number;
  /**
   * How long after its end it was named, in milliseconds: the silence by which its end is told, and the work from then on.
   */
  readonly latencyMs: number;
}

/** Options of {@linkcode classifySounds}. */
export interface ClassifySoundsOptions extends ClassifyOptions {
  /**
   * Samples a second that come; where the model takes others, they are resampled.
   *
   * @default {as many as the model's preprocessing says}
   */
  readonly sampleRate?: number | undefined;
}

/**
 * Names the sounds of a stream, such as words that are spoken, as they come, in constant memory.
 *
 * @param model A classifier of sound.
 * @param samples From -1 to 1, one channel.
 * @throws {TypeError} If the model is no classifier of sound.
 * @throws {RangeError} If `sampleRate` is no whole number above 0.
 *
 * @example Naming what a microphone hears
 * ```ts
 * import { classifySounds, loadModel } from "../../mod.ts";
 *
 * async function* microphone() {
 *   yield new Float32Array(8000); // a second of silence
 * }
 * using model = await loadModel("weights/spoken-digits");
 * for await (const { label, startMs } of classifySounds(model, microphone())) {
 *   console.log(startMs, label);
 * }
 * ```
 */
export async function* classifySounds(
  model: Model,
  samples: AsyncIterable<Float32Array> | Iterable<Float32Array>,
  options: ClassifySoundsOptions = {},
): AsyncGenerator<HeardSound, void> {
  const layout = soundLayout(model);
  const { signal, sampleRate = layout.sample_rate } = options;
  signal?.throwIfAborted();
  const sounds = new Sounds(layout);
  const resampler = sampleRate === layout.sample_rate
    ? undefined
    : new Resampler(sampleRate, layout.sample_rate);
  const milliseconds = (count: number) => count / layout.sample_rate * 1000;
  const name = async function* (found: ReturnType<Sounds["push"]>, arrivedMs: number) {
    for (const { input, start, end, heard } of found) {
      const result = await model.classify(input, { signal });
      const workMs = performance.now() - arrivedMs;
      yield {
        ...result,
        startMs: milliseconds(start),
        endMs: milliseconds(end),
        latencyMs: milliseconds(heard - end) + workMs,
      };
    }
  };
  // A microphone that gives nothing is waited for no longer than anybody wants.
  const pieces = Symbol.asyncIterator in samples ? untilAborted(samples, signal) : samples;
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    const arrivedMs = performance.now();
    yield* name(sounds.push(resampler?.push(piece) ?? piece), arrivedMs);
  }
  signal?.throwIfAborted();
  const rest = resampler?.finish() ?? new Float32Array();
  yield* name([...sounds.push(rest), ...sounds.finish()], performance.now());
}

/**
 * How a model of sound hears.
 *
 * @throws {TypeError} If it hears nothing.
 */
export function soundLayout({ config }: Pick<Model, "config">): StreamLayout {
  const { preprocessing, head } = config;
  if (preprocessing?.kind === "audio" && head.kind === "classifier") return preprocessing;
  throw new TypeError(
    `Cannot classify sound: this checkpoint's preprocessing is for ${
      preprocessing?.kind ?? "nothing"
    }, expected "audio"`,
  );
}
