/** The `preprocessing` object of a config.json: how images, series and sound become input vectors or token ids. */

import type {
  AudioPreprocessing,
  ImagePreprocessing,
  ModelConfig,
  PixelPreprocessing,
  Preprocessing,
  SeriesPreprocessing,
} from "./config.ts";
import { describe, type Fields } from "./fields.ts";

/** Far above any image this is meant for, and small enough that products stay exact integers. */
const MAX_IMAGE_SIDE = 2 ** 16;
const MAX_CHANNELS = 64;

/** Above what any recorder takes. */
const MAX_SAMPLE_RATE = 2 ** 20;
/** Samples of a frame, or of the way to the next. */
const MAX_WINDOW = 2 ** 16;
/** Hours of sound. */
const MAX_FRAMES = 2 ** 20;

/** A grey value is a byte. */
const GREY_VALUES = 256;

/**
 * Reads and checks `preprocessing` against the ends of the model that it belongs to.
 *
 * @returns The object as described, or `undefined` where the file has none.
 * @throws {ConfigError} Where a field is wrong, where one step is not `input.d_input` numbers, or where the vocabulary is
 * not that of pixels.
 */
export function parsePreprocessing(
  config: Fields,
  ends: Pick<ModelConfig, "input" | "head" | "real_vocab_size">,
): Preprocessing | undefined {
  const fields = config.object("preprocessing");
  if (fields === undefined) return undefined;
  const kind = fields.word("kind", ["image", "series", "pixels", "audio"]) ??
    fields.expected("kind", '"image", "series", "pixels" or "audio"');
  if (kind === "pixels") return parsePixels(config, fields, ends);
  const { input } = ends;
  if (input.kind !== "linear") {
    config.fail(
      `preprocessing.kind is "${kind}" and makes vectors, and input.kind is "${input.kind}": ` +
        'expected input.kind "linear"',
    );
  }
  const parse = { image: parseImage, series: parseSeries, audio: parseAudio }[kind];
  return parse(fields, input.d_input);
}

function parsePixels(
  config: Fields,
  fields: Fields,
  { input, head, real_vocab_size }: Pick<ModelConfig, "input" | "head" | "real_vocab_size">,
): PixelPreprocessing {
  if (input.kind !== "embedding" || head.kind !== "lm") {
    config.fail(
      `preprocessing.kind is "pixels" and makes ids, and input.kind is "${input.kind}", head.kind ` +
        `"${head.kind}": expected "embedding" and "lm"`,
    );
  }
  if (real_vocab_size !== GREY_VALUES || head.vocab_size === GREY_VALUES) {
    config.fail(
      `preprocessing.kind is "pixels", and of ${head.vocab_size} ids ${real_vocab_size} can be drawn: ` +
        `expected ${GREY_VALUES} grey values (real_vocab_size), and at least one more id in vocab_size`,
    );
  }
  return {
    kind: "pixels",
    width: fields.requiredInteger("width", 1, MAX_IMAGE_SIDE),
    height: fields.requiredInteger("height", 1, MAX_IMAGE_SIDE),
  };
}

function parseSeries(fields: Fields, d_input: number): SeriesPreprocessing {
  return {
    kind: "series",
    mean: fields.numbers("mean", d_input),
    std: parseStd(fields, d_input),
  };
}

function parseImage(fields: Fields, d_input: number): ImagePreprocessing {
  const width = fields.requiredInteger("width", 1, MAX_IMAGE_SIDE);
  const height = fields.requiredInteger("height", 1, MAX_IMAGE_SIDE);
  const channels = fields.requiredInteger("channels", 1, MAX_CHANNELS);
  const step = fields.word("step", ["image", "row", "pixel", "patch"]) ??
    fields.expected("step", '"image", "row", "pixel" or "patch"');
  const patch_size = fields.integer("patch_size", 1, MAX_IMAGE_SIDE);
  if (step !== "patch" && patch_size !== undefined) {
    fields.fail(
      `preprocessing.patch_size is ${patch_size}, and preprocessing.step is "${step}": ` +
        'only step "patch" has a patch_size',
    );
  }
  const pixels = { image: width * height, row: width, pixel: 1, patch: (patch_size ?? 0) ** 2 };
  if (step === "patch") {
    if (patch_size === undefined) fields.expected("patch_size", 'an integer for step "patch"');
    if (width % patch_size !== 0 || height % patch_size !== 0) {
      fields.fail(
        `preprocessing.patch_size is ${patch_size}, and the image is ${width} x ${height}: ` +
          "both sides must be multiples of it",
      );
    }
  }
  const stepLength = pixels[step] * channels;
  if (stepLength !== d_input) {
    fields.fail(
      `preprocessing.step is "${step}", which is ${stepLength} numbers a step, and ` +
        `input.d_input is ${d_input}: they must be equal`,
    );
  }
  return {
    kind: "image",
    width,
    height,
    channels,
    step,
    ...(patch_size === undefined ? {} : { patch_size }),
    rescale: fields.positive("rescale", Number.MAX_VALUE) ??
      fields.expected("rescale", "a number above 0, such as 1/255"),
    mean: fields.numbers("mean", channels),
    std: parseStd(fields, channels),
  };
}

function parseAudio(fields: Fields, d_input: number): AudioPreprocessing {
  const integer = (name: string, max: number) => fields.requiredInteger(name, 1, max);
  const positive = (name: string) =>
    fields.positive(name, Number.MAX_VALUE) ?? fields.expected(name, "a number above 0");
  const sample_rate = integer("sample_rate", MAX_SAMPLE_RATE);
  const window = integer("window", MAX_WINDOW);
  if (!Number.isInteger(Math.log2(window))) {
    fields.fail(`preprocessing.window is ${window}, expected a power of two`);
  }
  const n_mels = integer("n_mels", window);
  if (n_mels !== d_input) {
    fields.fail(
      `preprocessing.n_mels is ${n_mels}, and input.d_input is ${d_input}: they must be equal`,
    );
  }
  const f_min = fields.value("f_min"), f_max = positive("f_max");
  if (typeof f_min !== "number" || !(f_min >= 0 && f_min < f_max) || f_max > sample_rate / 2) {
    fields.fail(
      `preprocessing.f_min and f_max are ${
        describe(f_min)
      } and ${f_max}: expected numbers from 0 to half of ` +
        `sample_rate, ${sample_rate / 2}, the second above the first`,
    );
  }
  return {
    ...{ kind: "audio", sample_rate, window, hop: integer("hop", MAX_WINDOW) },
    ...{ n_mels, f_min, f_max, floor: positive("floor") },
    ...{ frames: integer("frames", MAX_FRAMES), margin_db: positive("margin_db") },
    ...{ lead_frames: integer("lead_frames", MAX_FRAMES) },
    ...{ end_frames: integer("end_frames", MAX_FRAMES) },
    mean: fields.numbers("mean", n_mels),
    std: parseStd(fields, n_mels),
  };
}

/** Values are divided by these, so none may be 0 or negative. */
function parseStd(fields: Fields, length: number): readonly number[] {
  const std = fields.numbers("std", length);
  std.forEach((value, index) => {
    if (value <= 0) {
      fields.fail(`preprocessing.std[${index}] is ${value}, expected a number above 0`);
    }
  });
  return std;
}
