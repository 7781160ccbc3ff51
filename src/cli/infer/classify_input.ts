/** What `infer.ts classify` takes: PNG files, images in IDX files, and numbers; as a model's input. */

import { readDataFile } from "../../io/datasets/data_file.ts";
import { isIdx } from "../../io/datasets/idx.ts";
import { quoteStart, readRows, toNumber } from "../../io/datasets/number_rows.ts";
import { parseIdxImages } from "../../io/datasets/image_dataset.ts";
import { foreignForm } from "../../io/foreign_file.ts";
import { imageToInput } from "../../io/images/image.ts";
import { decodePng, isPng } from "../../io/images/png.ts";
import { isWav, parseWav } from "../../io/audio/wav.ts";
import { soundToInput } from "../../io/audio/sound_input.ts";
import { quote } from "../../io/quote.ts";
import type { ImagePreprocessing, ModelConfig, Preprocessing } from "../../model/config/config.ts";
import { seriesToInput } from "../../io/series_input.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { noteRate } from "./resampling_note.ts";

/** Floats that one step of the model takes. */
export function stepSize(config: ModelConfig): number {
  if (config.head.kind !== "classifier" || config.input.kind !== "linear") {
    throw new TypeError(
      `Cannot classify with this model: its head is "${config.head.kind}" and its input ` +
        `"${config.input.kind}", expected "classifier" and "linear". Use generate or score`,
    );
  }
  return config.input.d_input;
}

/** The preprocessing of a model that takes images. */
export function imagePreprocessing(config: ModelConfig, what: string): ImagePreprocessing {
  return preprocessingOf("image", config, what);
}

/** How a kind of data becomes an input, in words. */
const BECOMES: Readonly<Record<Preprocessing["kind"], string>> = {
  ...{ image: "an image becomes its input", series: "a series becomes its input" },
  ...{ audio: "sound becomes its input", pixels: "pixels become its ids" },
};

/**
 * The preprocessing of a model that takes one kind of data.
 *
 * @param what The data, for the message.
 * @throws {TypeError} If the model takes another kind, or does not say what.
 */
export function preprocessingOf<Kind extends Preprocessing["kind"]>(
  kind: Kind,
  { preprocessing }: ModelConfig,
  what: string,
): Extract<Preprocessing, { kind: Kind }> {
  if (isOfKind(preprocessing, kind)) return preprocessing;
  const found = preprocessing === undefined
    ? "no preprocessing"
    : `preprocessing for ${preprocessing.kind}`;
  throw new TypeError(
    `Cannot classify ${what}: this checkpoint has ${found}, expected config.json to say how ${
      BECOMES[kind]
    }`,
  );
}

function isOfKind<Kind extends Preprocessing["kind"]>(
  preprocessing: Preprocessing | undefined,
  kind: Kind,
): preprocessing is Extract<Preprocessing, { kind: Kind }> {
  return preprocessing?.kind === kind;
}

/** An input as it was read, before the model is known. */
export interface RawInput {
  /** What error messages call it. */
  readonly name: string;
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** Which image of an IDX file. */
  readonly index?: number;
}

/** What error messages say a file should hold. */
const AN_INPUT = "an image or numbers";

/** Reads `image.png`, `FILE:INDEX`, or `-` for stdin. */
export async function readRawInput(source: string, terminal: Terminal): Promise<RawInput> {
  if (source === "-") return { name: "stdin", bytes: await terminal.readStdin() };
  const [, path = source, index] = /^(.+):(\d+)$/.exec(source) ?? [];
  // A file may have a name that looks like FILE:INDEX.
  if (index === undefined || await isFile(source)) {
    return { name: source, bytes: await readDataFile(source, AN_INPUT) };
  }
  return { name: path, bytes: await readDataFile(path, AN_INPUT), index: Number(index) };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/**
 * Makes one sequence of the model's input: T x d_input floats.
 *
 * PNG and IDX images go through the checkpoint's preprocessing. Numbers are an image's pixels (0 to 255) for
 * a model that takes images, a series' raw values for one that takes series, and the input itself where
 * the checkpoint has no preprocessing. Sound of another rate than the model's is resampled, with a note.
 */
export async function toModelInput(
  raw: RawInput,
  config: ModelConfig,
  terminal: Pick<Terminal, "writeError">,
): Promise<Float32Array> {
  const { name, bytes, index } = raw;
  if (isIdx(bytes)) {
    const array = parseIdxImages(bytes, name);
    if (index === undefined || index >= array.count) {
      throw new RangeError(
        `Cannot classify ${index === undefined ? `"${name}"` : `image ${index} of "${name}"`}: ` +
          `it holds ${array.count} images. Give one as ${name}:0 to ${name}:${array.count - 1}`,
      );
    }
    const size = array.height * array.width * array.channels;
    return imageToInput(
      array.images.subarray(index * size, (index + 1) * size),
      array.width,
      array.height,
      array.channels,
      imagePreprocessing(config, `an image of "${name}"`),
    );
  }
  if (index !== undefined) {
    throw new SyntaxError(`Cannot take image ${index} of "${name}": it is not an IDX file`);
  }
  if (isPng(bytes)) {
    const layout = imagePreprocessing(config, `"${name}"`);
    const { width, height, channels, pixels } = await decodePng(bytes, name, layout);
    return imageToInput(pixels, width, height, channels, layout);
  }
  if (isWav(bytes)) {
    const layout = preprocessingOf("audio", config, `"${name}"`);
    const { samples, sample_rate } = parseWav(bytes, name);
    noteRate(quote(name), sample_rate, layout, terminal);
    return soundToInput(samples, sample_rate, layout);
  }
  return numbersToInput(parseNumbers(bytes, name), name, config);
}

/** Numbers of a file, in the rows that it has them in. */
type NumberRows = readonly (readonly number[])[];

/** Reads numbers separated by white space or commas, or a JSON array of them, or of arrays. */
function parseNumbers(bytes: Uint8Array, name: string): NumberRows {
  const fail = (found: string) => new SyntaxError(`Cannot read ${JSON.stringify(name)}: ${found}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SyntaxError(`Cannot read "${name}": it is not PNG, IDX, or text`, { cause });
  }
  const foreign = foreignForm(bytes);
  if (foreign !== undefined) throw fail(foreign);
  const isJson = /^\s*\[/.test(text);
  let entry = 0;
  return (isJson ? jsonRows(text, fail) : readRows(text, fail).map(({ cells }) => cells)).map((
    row,
  ) =>
    row.map((cell) => {
      const value = toNumber(cell);
      if (value === undefined) {
        throw fail(
          `entry ${entry} is ${
            quoteStart(cell)
          }, and the file is not PNG or IDX: expected finite numbers`,
        );
      }
      entry++;
      return value;
    })
  );
}

/** The numbers of a JSON array, or of the arrays in one, as text. */
function jsonRows(text: string, fail: (found: string) => Error): string[][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fail(`it begins as JSON, and is none: ${cause instanceof Error ? cause.message : cause}`);
  }
  const rows: unknown[] = Array.isArray(value) && value.some(Array.isArray) ? value : [value];
  return rows.map((row) => (Array.isArray(row) ? row.flat(Infinity) : [row]).map(String));
}

/** Rows must be steps: a column too many would shift all that follows it, without a word. */
function requireSteps(rows: NumberRows, name: string, d_input: number): void {
  const other = rows.find((row) => row.length !== d_input);
  if (rows.length < 2 || other === undefined) return;
  throw new RangeError(
    `Cannot use "${name}": it has ${rows.length} rows, one of them of ${other.length} columns, and each step of this ` +
      `model takes ${d_input}: give a step a row, without names or indices, or all numbers in one row`,
  );
}

function numbersToInput(rows: NumberRows, name: string, config: ModelConfig): Float32Array {
  const { preprocessing } = config;
  const d_input = stepSize(config);
  const values = Float32Array.from(rows.flat());
  if (preprocessing?.kind === "image") {
    const { width, height, channels } = preprocessing;
    const bad = values.findIndex((v) => !Number.isInteger(v) || v < 0 || v > 255);
    if (values.length !== width * height * channels || bad >= 0) {
      throw new RangeError(
        `Cannot use "${name}" as an image: ` +
          (bad >= 0 ? `entry ${bad} is ${values[bad]}` : `it holds ${values.length} numbers`) +
          `, and this checkpoint takes ${width} x ${height} x ${channels} pixels from 0 to 255`,
      );
    }
    return imageToInput(Uint8Array.from(values), width, height, channels, preprocessing);
  }
  requireSteps(rows, name, d_input);
  if (values.length === 0 || values.length % d_input !== 0) {
    throw new RangeError(
      `Cannot use "${name}": it holds ${values.length} numbers, and each step of this model takes ` +
        `${d_input}`,
    );
  }
  if (preprocessing?.kind !== "series") return values;
  return seriesToInput(values, preprocessing);
}
