/** Numbers of a stream as steps of a classifier. */

import { imageToInput } from "../../io/images/image.ts";
import { quote } from "../../io/quote.ts";
import { seriesToInput } from "../../io/series_input.ts";
import type { Values } from "../../io/streams/values.ts";
import type { ImagePreprocessing, ModelConfig } from "../../model/config/config.ts";
import { stepSize } from "./classify_input.ts";

/** Whole steps. */
export interface Steps {
  /** (steps, d_input). */
  readonly values: Float32Array;
  /** Whether the sequence ends with them; of a stream that is one sequence, nothing. */
  readonly ends?: boolean | undefined;
}

/**
 * Makes steps of numbers as they come: pixels (0 to 255) for a model that takes images, raw values for one of series, and
 * the input itself where the checkpoint has no preprocessing.
 *
 * @param name What error messages call the source.
 * @throws {RangeError} If a number is no pixel where one is expected, or the source ends inside of a step.
 */
export async function* stepsOf(
  source: AsyncIterable<Values>,
  config: ModelConfig,
  name: string,
): AsyncGenerator<Steps, void> {
  const { preprocessing } = config;
  const d_input = stepSize(config);
  const image = preprocessing?.kind === "image" ? preprocessing : undefined;
  const unit = image === undefined ? d_input : unitOf(image).pixels * image.channels;
  let held: Values["values"] = new Uint8Array();
  let entry = 0;
  for await (const { values, ends } of source) {
    if (image !== undefined) requirePixels(values, name, entry);
    entry += values.length;
    const all: Values["values"] = held.length === 0
      ? values
      : Float32Array.from([...held, ...values]);
    const whole: number = all.length - all.length % unit;
    held = all.slice(whole);
    if (ends && held.length > 0) throw insideStep(name, held.length, unit);
    const now = all.subarray(0, whole);
    if (whole > 0) {
      const steps = image === undefined ? scaled(now, config) : imageSteps(now, image);
      yield { values: steps, ends };
    }
  }
  if (held.length > 0) throw insideStep(name, held.length, unit);
}

function insideStep(name: string, left: number, unit: number): RangeError {
  return new RangeError(
    `Cannot use ${
      quote(name)
    }: a sequence ends with ${left} numbers, and each step of this model takes ${unit}`,
  );
}

function requirePixels(values: Values["values"], name: string, entry: number): void {
  if (values instanceof Uint8Array) return;
  const bad = values.findIndex((value) => !Number.isInteger(value) || value < 0 || value > 255);
  if (bad < 0) return;
  throw new RangeError(
    `Cannot use ${quote(name)} as an image: entry ${entry + bad} is ${
      values[bad]
    }, expected pixels from 0 to 255`,
  );
}

/** What steps are made of at once, where an image's pixels come row by row. */
function unitOf(
  { width, height, step, patch_size = 1 }: ImagePreprocessing,
): { readonly width: number; readonly height: number; readonly pixels: number } {
  const size = step === "pixel"
    ? { width: 1, height: 1 }
    : { width, height: step === "row" ? 1 : step === "patch" ? patch_size : height };
  return { ...size, pixels: size.width * size.height };
}

function imageSteps(values: Float32Array | Uint8Array, image: ImagePreprocessing): Float32Array {
  const { width, height } = unitOf(image);
  const bytes = values instanceof Uint8Array ? values : Uint8Array.from(values);
  return imageToInput(bytes, width, height, image.channels, { ...image, width, height });
}

function scaled(values: Float32Array | Uint8Array, { preprocessing }: ModelConfig): Float32Array {
  const floats = Float32Array.from(values);
  return preprocessing?.kind === "series" ? seriesToInput(floats, preprocessing) : floats;
}

/** Steps that pixels become together, such as those of a row: a stream can be left and gone on with between them alone. */
export function stepsTogether(config: ModelConfig): number {
  const { preprocessing } = config;
  if (preprocessing?.kind !== "image") return 1;
  return unitOf(preprocessing).pixels * preprocessing.channels / stepSize(config);
}

/** Steps of a whole image; Infinity for a model that takes none. */
export function stepsOfImage(config: ModelConfig): number {
  const { preprocessing } = config;
  if (preprocessing?.kind !== "image") return Infinity;
  const { width, height, channels } = preprocessing;
  return width * height * channels / stepSize(config);
}
