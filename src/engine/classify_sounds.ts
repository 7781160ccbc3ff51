/** Classification of sounds in a stream: each is named once it is over, and silence is no sound. */

import { Sounds, type StreamLayout } from "../io/audio/sounds.ts";
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

/**
 * Names the sounds of a stream, such as words that are spoken, as they come, in constant memory.
 *
 * @param model A classifier of sound.
 * @param samples From -1 to 1, one channel, as many a second as the model's `preprocessing.sample_rate` says.
 * @throws {TypeError} If the model is no classifier of sound.
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
  options: ClassifyOptions = {},
): AsyncGenerator<HeardSound, void> {
  const layout = soundLayout(model);
  const sounds = new Sounds(layout);
  const milliseconds = (count: number) => count / layout.sample_rate * 1000;
  const name = async function* (found: ReturnType<Sounds["push"]>, arrivedMs: number) {
    for (const { input, start, end, heard } of found) {
      const result = await model.classify(input, options);
      const workMs = performance.now() - arrivedMs;
      yield {
        ...result,
        startMs: milliseconds(start),
        endMs: milliseconds(end),
        latencyMs: milliseconds(heard - end) + workMs,
      };
    }
  };
  for await (const piece of samples) {
    const arrivedMs = performance.now();
    yield* name(sounds.push(piece), arrivedMs);
  }
  yield* name(sounds.finish(), performance.now());
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
