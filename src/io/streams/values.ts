/** Numbers of a stream, as they come: what every format gives. */

import { foreignForm, TOLD_BY_BYTES } from "../foreign_file.ts";
import { quote } from "../quote.ts";
import { decodePng, type ExpectedImage, isPng } from "../images/png.ts";
import type { ByteReader } from "./byte_stream.ts";
import { readCsv } from "./csv_rows.ts";
import { readIdxItems } from "./idx_items.ts";
import { readNumberText } from "./number_text.ts";
import { readPng } from "./png_items.ts";
import { textOf } from "./text_stream.ts";
import { readWavFrames, readWavHeader } from "./wav_frames.ts";

/** The formats; "auto" tells by how a stream begins, which raw bytes do not say. */
export const STREAM_FORMATS = ["auto", "text", "csv", "u8", "f32", "png", "idx", "wav"] as const;

/** One of them. */
export type StreamFormat = typeof STREAM_FORMATS[number];

/** What came. */
export interface Values {
  /** Numbers, or pixels. */
  readonly values: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
  /** Whether a sequence ends with them, such as one of several images; of a stream that is one sequence, nothing. */
  readonly ends?: boolean;
}

/** What a stream should hold. */
export interface ValuesWanted {
  readonly format: StreamFormat;
  /** Names of the columns to take of CSV, in this order; all, if they are as many as a step takes. */
  readonly columns: readonly string[] | undefined;
  /** Numbers of a step. */
  readonly width: number;
  /** The images to expect. */
  readonly image: ExpectedImage | undefined;
}

/**
 * Reads numbers as they come, in constant memory.
 *
 * @throws {SyntaxError} If the bytes are not of the format.
 * @throws {RangeError} If they hold what is not wanted.
 */
export async function* readValues(
  reader: ByteReader,
  wanted: ValuesWanted,
): AsyncGenerator<Values, void> {
  const { columns, width, image } = wanted;
  const { name } = reader;
  const format = wanted.format !== "auto"
    ? wanted.format
    : columns === undefined
    ? await formatOf(reader)
    : "csv";
  switch (format) {
    case "u8":
      for (let values; (values = await reader.some(1)).length > 0;) yield { values };
      return;
    case "f32":
      yield* readFloats(reader);
      return;
    case "png":
      if (image === undefined) throw noImages(name, "PNG");
      for (let bytes; (bytes = await readPng(reader)) !== undefined;) {
        const { pixels } = await decodePng(bytes, name, image);
        yield { values: pixels.slice(), ends: true };
      }
      return;
    case "idx":
      yield* readIdxItems(reader, image);
      return;
    case "wav": {
      const header = await readWavHeader(reader);
      const { channels } = header.format;
      if (channels !== width) {
        throw new RangeError(
          `Cannot use ${
            quote(name)
          }: it has ${channels} channels, and each step of this model takes ${width}`,
        );
      }
      for await (const values of readWavFrames(reader, header)) yield { values };
      return;
    }
    case "csv":
      for await (const values of readCsv(textOf(reader.rest(), name), { name, columns, width })) {
        yield { values };
      }
      return;
    case "text": {
      const rows = { name, width: image === undefined ? width : 1 };
      for await (const values of readNumberText(textOf(reader.rest(), name), rows)) {
        yield { values };
      }
    }
  }
}

/** No more is asked for than tells a format from others: who writes slowly waits for the answer to the first number. */
async function formatOf(reader: ByteReader): Promise<Exclude<StreamFormat, "auto" | "csv">> {
  const [first = 0x20] = await reader.peek(1);
  if (first === 0x89 && isPng(await reader.peek(8))) return "png";
  if (first === 0 && (await reader.peek(2))[1] === 0) return "idx";
  if (first === 0x52 && new TextDecoder().decode(await reader.peek(4)) === "RIFF") return "wav";
  if (first >= 0x20 && first < 0x7f || first >= 9 && first <= 13 || first === 0xef) return "text";
  const foreign = foreignForm(await reader.peek(TOLD_BY_BYTES));
  const found = foreign ??
    "it is not PNG, IDX, WAV or text. Raw bytes are read with --format u8 or f32";
  throw new SyntaxError(`Cannot read ${quote(reader.name)}: ${found}`);
}

async function* readFloats(reader: ByteReader): AsyncGenerator<Values, void> {
  for (;;) {
    const bytes = await reader.some(4);
    if (bytes.length === 0) return;
    if (bytes.length % 4 !== 0) {
      throw new SyntaxError(
        `Cannot read ${
          quote(reader.name)
        }: it ends inside a number of 4 bytes, at byte ${reader.position}`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const values = new Float32Array(bytes.length / 4);
    for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
    yield { values };
  }
}

/** The error of images for a model of something else. */
export function noImages(name: string, format: string): RangeError {
  return new RangeError(
    `Cannot use ${quote(name)}: it is ${format}, and this model takes no images`,
  );
}
