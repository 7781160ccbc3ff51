/** PNG files to grey or RGB bytes, and back. */

import { convertIndexedToRgb, decode, type DecodedPng, encode } from "npm:fast-png@8.0.0";
import { describeSize, type PixelArray } from "./image.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Samples a pixel, by color type: grey, RGB, palette index, grey + alpha, RGB + alpha. */
const SAMPLES = new Map([[0, 1], [2, 3], [3, 1], [4, 2], [6, 4]]);

/** The chunks that pixels depend on. The others (text, profiles) may hide more compressed data: dropped. */
const NEEDED_CHUNKS = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);

/** Whether `bytes` begin with the PNG signature. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** What `decodePng` must find. */
export interface ExpectedImage {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 to have it in grey, 3 in RGB. */
  readonly channels: number;
}

/**
 * Decodes a PNG of a known size: any bit depth, palette or interlacing, to 8 bits a sample.
 *
 * Color becomes grey with the weights of ITU-R BT.601 (0.299, 0.587, 0.114), grey becomes RGB by repetition.
 * The size is compared before anything is decompressed, and never more than the image's own bytes are.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @param expected The size that the caller takes; the image is not resized.
 * @returns Pixels (height, width, channels).
 * @throws {RangeError} If the image has another size, or transparent pixels.
 * @throws {SyntaxError} If the file is not a valid PNG.
 */
export async function decodePng(
  bytes: Uint8Array,
  name: string,
  expected: ExpectedImage,
): Promise<PixelArray> {
  const { width, height, channels } = expected;
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`Cannot decode "${name}" to ${channels} channels: expected 1 or 3`);
  }
  const needed = neededChunks(bytes, name);
  const header = new DataView(needed.buffer, SIGNATURE.length + 8, 13);
  const foundWidth = header.getUint32(0), foundHeight = header.getUint32(4);
  if (foundWidth !== width || foundHeight !== height) {
    throw new RangeError(
      `Cannot use "${name}": the image is ${foundWidth} x ${foundHeight}, expected ` +
        `${describeSize(width, height, channels)}: nothing is resized`,
    );
  }
  await checkDataSize(needed, name, header);
  let png: DecodedPng;
  let palette: Uint8Array | undefined;
  try {
    png = decode(needed, { checkCrc: true });
    if (png.palette !== undefined) palette = convertIndexedToRgb(png);
  } catch (cause) {
    throw invalid(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const samples = palette ?? to8Bits(png);
  const count = palette === undefined ? png.channels : samples.length / (width * height);
  if (samples.length !== width * height * count) {
    throw invalid(name, `${samples.length} samples, expected ${width * height * count}`);
  }
  if (hasTransparency(png, samples, count)) {
    throw new RangeError(
      `Cannot use "${name}": it has transparent pixels, and what lies behind them is not known. ` +
        `Flatten the image first`,
    );
  }
  return { width, height, channels, pixels: toChannels(samples, count, channels) };
}

/** Encodes an image of 8 bits a sample: `decodePng` gives the same pixels. */
export function encodePng({ width, height, channels, pixels }: PixelArray): Uint8Array {
  return encode({ width, height, channels, data: pixels, depth: 8 });
}

function invalid(name: string, detail: string, cause?: unknown): SyntaxError {
  return new SyntaxError(`Cannot read "${name}" as PNG: ${detail}`, { cause });
}

/** The signature and the chunks that pixels depend on, with the header first. */
function neededChunks(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  if (!isPng(bytes)) throw invalid(name, "the PNG signature is missing");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept = [bytes.subarray(0, SIGNATURE.length)];
  let offset = SIGNATURE.length;
  for (let type = ""; type !== "IEND";) {
    if (offset + 12 > bytes.length) {
      throw invalid(name, `the file ends at byte ${bytes.length}, inside a chunk`);
    }
    const length = view.getUint32(offset);
    const end = offset + 12 + length;
    type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (end > bytes.length) {
      throw invalid(
        name,
        `chunk "${type}" ends at byte ${end}, past the end of the file at ${bytes.length}`,
      );
    }
    const isHeader = type === "IHDR";
    if (isHeader !== (kept.length === 1) || (isHeader && length !== 13)) {
      throw invalid(name, "it does not begin with one header of 13 bytes");
    }
    if (NEEDED_CHUNKS.has(type)) kept.push(bytes.subarray(offset, end));
    offset = end;
  }
  const joined = new Uint8Array(kept.reduce((sum, part) => sum + part.length, 0));
  let written = 0;
  for (const part of kept) {
    joined.set(part, written);
    written += part.length;
  }
  return joined;
}

/** A piece decompresses at once, to 1032 times its size at most: 4 MB. */
const PIECE_BYTES = 4096;

/** Throws if the data is not what the pixels need: a small file could otherwise fill the memory. */
async function checkDataSize(png: Uint8Array<ArrayBuffer>, name: string, header: DataView) {
  const width = header.getUint32(0), height = header.getUint32(4);
  const samples = SAMPLES.get(header.getUint8(9));
  if (samples === undefined) throw invalid(name, `color type ${header.getUint8(9)}`);
  const depth = header.getUint8(8), interlaced = header.getUint8(12) !== 0;
  if (interlaced && depth < 8) {
    throw invalid(
      name,
      `interlaced with ${depth} bits a sample, which the decoder does not support`,
    );
  }
  const rowBytes = 1 + Math.ceil(width * samples * depth / 8);
  // Interlacing splits the rows: up to 15/8 as many, each with a filter byte and a partly used last byte.
  const limit = 2 * height * (rowBytes + 1) + 64;
  const view = new DataView(png.buffer);
  const { readable, writable } = new DecompressionStream("deflate");
  const writer = writable.getWriter();
  const feed = async () => {
    for (let offset = SIGNATURE.length; offset < png.length;) {
      const length = view.getUint32(offset);
      const isData = view.getUint32(offset + 4) === 0x49444154; // "IDAT"
      const end = offset + 8 + length;
      for (let at = offset + 8; isData && at < end; at += PIECE_BYTES) {
        await writer.write(png.subarray(at, Math.min(at + PIECE_BYTES, end)));
      }
      offset = end + 4;
    }
    await writer.close();
  };
  const fed = feed().catch(() => {}); // The reader below sees the same failure.
  let total = 0;
  try {
    for await (const chunk of readable) {
      total += chunk.length;
      if (total > limit) break;
    }
  } catch (cause) {
    throw invalid(name, "its compressed data is damaged", cause);
  }
  await fed;
  const needed = height * rowBytes;
  if (total > limit) {
    throw invalid(name, `its pixels need ${needed} bytes, and its data holds more`);
  }
  if (total < needed) throw invalid(name, `its pixels need ${needed} bytes, and it holds ${total}`);
}

/** One byte a sample: 16 bits lose the lower byte, fewer than 8 are spread over 0 to 255. */
function to8Bits({ data, depth, width, height, channels }: DecodedPng): Uint8Array {
  if (data instanceof Uint16Array) return Uint8Array.from(data, (sample) => sample >> 8);
  if (depth === 8) return new Uint8Array(data);
  // Below 8 bits there is one channel, and each row begins at a byte.
  const scale = 255 / (2 ** depth - 1);
  const rowBytes = Math.ceil(width * depth / 8);
  return Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const bit = (i % width) * depth;
    const byte = data[Math.floor(i / width) * rowBytes + (bit >> 3)] ?? 0;
    return ((byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1)) * scale;
  });
}

function hasTransparency(png: DecodedPng, samples: Uint8Array, count: number): boolean {
  // A transparent color key: rare, and which pixels it hides does not matter.
  if (png.transparency !== undefined) return true;
  if (count !== 2 && count !== 4) return false;
  return samples.some((sample, i) => i % count === count - 1 && sample !== 255);
}

function toChannels(samples: Uint8Array, count: number, channels: number): Uint8Array {
  if (count === channels) return samples;
  const colors = count >= 3 ? 3 : 1;
  const pixels = new Uint8Array(samples.length / count * channels);
  for (let from = 0, to = 0; from < samples.length; from += count, to += channels) {
    const r = samples[from] ?? 0;
    const g = colors === 3 ? samples[from + 1] ?? 0 : r;
    const b = colors === 3 ? samples[from + 2] ?? 0 : r;
    if (channels === 1) pixels[to] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else pixels.set([r, g, b], to);
  }
  return pixels;
}
