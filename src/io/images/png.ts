/** PNG files to grey or RGB bytes, and back. */

import { encode } from "npm:fast-png@8.0.0";
import { describeSize, type PixelArray } from "./image.ts";
import { dataBytes, parseHeader, type PngHeader, readSamples, samplesOf } from "./png_samples.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

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
 * Decodes a PNG of a known size: any bit depth, palette, interlacing or transparent color that no pixel has, to 8 bits a
 * sample.
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
  const fail = (found: string, cause?: unknown) =>
    new SyntaxError(`Cannot read "${name}" as PNG: ${found}`, { cause });
  const chunks = readChunks(bytes, fail);
  const header = parseHeader(chunks.header, fail);
  if (header.width !== width || header.height !== height) {
    throw new RangeError(
      `Cannot use "${name}": the image is ${header.width} x ${header.height}, expected ` +
        `${describeSize(width, height, channels)}: nothing is resized`,
    );
  }
  const data = await inflate(chunks.data, dataBytes(header), fail);
  const samples = readSamples(header, data, fail);
  const colors = header.colorType === 3
    ? lookUp(samples, chunks, fail)
    : toOpaque(samples, header, chunks.transparency);
  if (colors.isTransparent) {
    throw new RangeError(
      `Cannot use "${name}": it has transparent pixels, and what lies behind them is not known. ` +
        `Flatten the image first`,
    );
  }
  return { width, height, channels, pixels: toChannels(colors.samples, colors.count, channels) };
}

/** Encodes an image of 8 bits a sample: `decodePng` gives the same pixels. */
export function encodePng({ width, height, channels, pixels }: PixelArray): Uint8Array {
  return encode({ width, height, channels, data: pixels, depth: 8 });
}

type Fail = (found: string, cause?: unknown) => SyntaxError;

/** What pixels depend on. The other chunks (text, profiles) may hide more compressed data: passed over. */
interface Chunks {
  readonly header: DataView;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
  readonly data: readonly Uint8Array<ArrayBuffer>[];
}

function readChunks(bytes: Uint8Array, fail: Fail): Chunks {
  if (!isPng(bytes)) throw fail("the PNG signature is missing");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: DataView | undefined;
  let palette: Uint8Array | undefined, transparency: Uint8Array | undefined;
  const data: Uint8Array<ArrayBuffer>[] = [];
  let offset = SIGNATURE.length;
  for (let type = ""; type !== "IEND";) {
    if (offset + 12 > bytes.length) {
      throw fail(`the file ends at byte ${bytes.length}, inside a chunk`);
    }
    const length = view.getUint32(offset);
    const end = offset + 12 + length;
    type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (end > bytes.length) {
      throw fail(
        `chunk "${type}" ends at byte ${end}, past the end of the file at ${bytes.length}`,
      );
    }
    if ((type === "IHDR") !== (header === undefined) || (type === "IHDR" && length !== 13)) {
      throw fail("it does not begin with one header of 13 bytes");
    }
    const content = bytes.slice(offset + 8, end - 4);
    if (type === "IHDR") header = new DataView(content.buffer);
    else if (type === "PLTE") palette = content;
    else if (type === "tRNS") transparency = content;
    else if (type === "IDAT") data.push(content);
    // A capital letter at its beginning says that pixels depend on it.
    else if (type !== "IEND" && /^[A-Z]/.test(type)) {
      throw fail(`it has the chunk "${type}", which this version does not know`);
    }
    const isKept = /^(IHDR|PLTE|tRNS|IDAT|IEND)$/.test(type);
    if (isKept && checksum(bytes.subarray(offset + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw fail(`chunk "${type}" has another checksum than its bytes: it is damaged`);
    }
    offset = end;
  }
  if (header === undefined) throw fail("it does not begin with one header of 13 bytes");
  return { header, palette, transparency, data };
}

/** CRC-32 of each byte by itself. */
const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? value >>> 1 ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksum(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (CHECKSUMS[(value ^ byte) & 255] ?? 0) ^ value >>> 8;
  return ~value >>> 0;
}

/** A piece decompresses at once, to 1032 times its size at most: 4 MB. */
const PIECE_BYTES = 4096;

/** Decompresses what the pixels need: a small file could otherwise fill the memory. */
async function inflate(
  chunks: readonly Uint8Array<ArrayBuffer>[],
  needed: number,
  fail: Fail,
): Promise<Uint8Array> {
  // Encoders may leave a little more than there are pixels.
  const limit = 2 * needed + 64;
  const { readable, writable } = new DecompressionStream("deflate");
  const writer = writable.getWriter();
  const feed = async () => {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        await writer.write(chunk.subarray(at, at + PIECE_BYTES));
      }
    }
    await writer.close();
  };
  const fed = feed().catch(() => {}); // The reader below sees the same failure.
  const data = new Uint8Array(needed);
  let total = 0;
  try {
    for await (const chunk of readable) {
      data.set(chunk.subarray(0, Math.max(0, needed - total)), Math.min(total, needed));
      total += chunk.length;
      if (total > limit) break;
    }
  } catch (cause) {
    throw fail("its compressed data is damaged", cause);
  }
  await fed;
  if (total > limit) throw fail(`its pixels need ${needed} bytes, and its data holds more`);
  if (total < needed) throw fail(`its pixels need ${needed} bytes, and it holds ${total}`);
  return data;
}

/** Pixels of 8 bits a sample. */
interface Colors {
  readonly samples: Uint8Array;
  /** Samples of a pixel: 1 or 3, after which there may be alpha. */
  readonly count: number;
  readonly isTransparent: boolean;
}

/** Colors of a palette; the first of them may be transparent. */
function lookUp(indices: ArrayLike<number>, { palette, transparency }: Chunks, fail: Fail): Colors {
  if (palette === undefined || palette.length % 3 !== 0) throw fail("it has no palette of colors");
  const samples = new Uint8Array(indices.length * 3);
  let isTransparent = false;
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] ?? 0;
    if (index * 3 >= palette.length) {
      throw fail(`a pixel has color ${index} of a palette of ${palette.length / 3}`);
    }
    samples.set(palette.subarray(index * 3, index * 3 + 3), i * 3);
    isTransparent ||= (transparency?.[index] ?? 255) !== 255;
  }
  return { samples, count: 3, isTransparent };
}

function toOpaque(
  samples: Uint8Array | Uint16Array,
  header: PngHeader,
  transparency: Uint8Array | undefined,
): Colors {
  const count = samplesOf(header);
  const hasAlpha = count === 2 || count === 4;
  const bytes = to8Bits(samples, header);
  const isTransparent = hasAlpha
    ? bytes.some((sample, i) => i % count === count - 1 && sample !== 255)
    : transparency !== undefined && hasColor(samples, count, transparency);
  return { samples: bytes, count, isTransparent };
}

/** One byte a sample: 16 bits lose the lower byte, fewer than 8 are spread over 0 to 255. */
function to8Bits(samples: Uint8Array | Uint16Array, { depth }: PngHeader): Uint8Array {
  if (samples instanceof Uint16Array) return Uint8Array.from(samples, (sample) => sample >> 8);
  return depth === 8 ? samples : samples.map((sample) => sample * 255 / (2 ** depth - 1));
}

/** Whether a pixel has the color that stands for transparent ones: two bytes for each of its samples. */
function hasColor(samples: ArrayLike<number>, count: number, key: Uint8Array): boolean {
  const color = Array.from(
    { length: count },
    (_, c) => (key[2 * c] ?? 0) << 8 | (key[2 * c + 1] ?? 0),
  );
  for (let i = 0; i < samples.length; i += count) {
    if (color.every((sample, c) => samples[i + c] === sample)) return true;
  }
  return false;
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
