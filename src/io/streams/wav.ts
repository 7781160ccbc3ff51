/**
 * WAV as it comes: a recorder's, too, which does not know how long it will be.
 *
 *     "RIFF" size "WAVE"   then chunks, each a name, a size, and its bytes, padded to an even number
 *     "fmt "               format, channels, sample rate, bytes a second, bytes a frame, bits a sample
 *     "data"               frames: a sample of each channel, little-endian
 */

import { quote } from "../quote.ts";
import type { ByteReader } from "./byte_stream.ts";

/** What a file says of its samples. */
export interface WavFormat {
  /** Samples of a frame. */
  readonly channels: number;
  /** Frames a second. */
  readonly sampleRate: number;
  /** Bits of a sample: 8, 16, 24 or 32 of a whole number, 32 or 64 of a float. */
  readonly bits: number;
  /** Whether samples are floats. */
  readonly isFloat: boolean;
  /** Bytes of all frames; Infinity where the file does not say. */
  readonly dataBytes: number;
}

const PCM = 1, FLOAT = 3, EXTENSIBLE = 0xfffe;

/** Recorders that write to a pipe put a size near the largest there, of 31 or 32 bits. */
const UNKNOWN_BYTES = 0x7fff_0000;

/** Bytes of a chunk of another kind that are passed over at once. */
const PASSED_BYTES = 2 ** 16;

/** Bytes of a format at most. */
const MOST_FORMAT_BYTES = 2 ** 12;

/**
 * Reads up to the first frame.
 *
 * @throws {SyntaxError} If it is not WAV, or of a form that is not read.
 */
export async function readWavFormat(reader: ByteReader): Promise<WavFormat> {
  const fail = (found: string) =>
    new SyntaxError(`Cannot read ${quote(reader.name)} as WAV: ${found}`);
  const head = await reader.take(12, "the head");
  if (textAt(head, 0) !== "RIFF" || textAt(head, 8) !== "WAVE") {
    throw fail(`it begins with ${quote(textAt(head, 0) + textAt(head, 8))}, expected "RIFFWAVE"`);
  }
  let format: Omit<WavFormat, "dataBytes"> | undefined;
  for (;;) {
    const chunk = await reader.take(8, "the head of a chunk");
    const name = textAt(chunk, 0), sizeBytes = viewOf(chunk).getUint32(4, true);
    if (name === "data") {
      if (format === undefined) throw fail('"data" comes before "fmt "');
      const isKnown = sizeBytes > 0 && sizeBytes < UNKNOWN_BYTES;
      return { ...format, dataBytes: isKnown ? sizeBytes : Infinity };
    }
    if (name === "fmt ") {
      if (sizeBytes < 16 || sizeBytes > MOST_FORMAT_BYTES) {
        throw fail(`"fmt " has ${sizeBytes} bytes, expected 16 or more`);
      }
      format = parseFormat(viewOf(await reader.take(sizeBytes, 'the chunk "fmt "')), fail);
      if (sizeBytes % 2 === 1) await reader.take(1, "a byte of padding");
      continue;
    }
    for (let left = sizeBytes + sizeBytes % 2; left > 0;) {
      const bytes = await reader.some(1, Math.min(left, PASSED_BYTES));
      if (bytes.length === 0) throw fail(`it ends inside of the chunk ${quote(name)}`);
      left -= bytes.length;
    }
  }
}

/**
 * Reads frames, as floats from -1 to 1.
 *
 * @returns Whole frames: (frames, channels).
 * @throws {SyntaxError} If it ends before its last frame.
 */
export async function* readWavSamples(
  reader: ByteReader,
  { channels, bits, isFloat, dataBytes }: WavFormat,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  const sampleBytes = bits / 8;
  const frameBytes = channels * sampleBytes;
  const read = sampleReader(bits, isFloat);
  for (let left = dataBytes; left >= frameBytes;) {
    const bytes = await reader.some(frameBytes, left);
    if (bytes.length === 0 && dataBytes === Infinity) return;
    if (bytes.length < frameBytes) {
      throw new SyntaxError(
        `Cannot read ${quote(reader.name)} as WAV: it ends at byte ${reader.position}` +
          (dataBytes === Infinity
            ? ", inside a frame"
            : `, and ${left} bytes of frames are missing`),
      );
    }
    left -= bytes.length;
    const view = viewOf(bytes);
    const samples = new Float32Array(bytes.length / sampleBytes);
    for (let i = 0; i < samples.length; i++) samples[i] = read(view, i * sampleBytes);
    yield samples;
  }
}

function parseFormat(
  view: DataView,
  fail: (found: string) => Error,
): Omit<WavFormat, "dataBytes"> {
  const tag = view.getUint16(0, true);
  if (tag === EXTENSIBLE && view.byteLength < 40) {
    throw fail(`"fmt " has ${view.byteLength} bytes, and its extensible form needs 40`);
  }
  const form = tag === EXTENSIBLE ? view.getUint16(24, true) : tag;
  const channels = view.getUint16(2, true), bits = view.getUint16(14, true);
  const isFloat = form === FLOAT;
  const isRead = isFloat ? [32, 64].includes(bits) : form === PCM && [8, 16, 24, 32].includes(bits);
  if (!isRead) {
    throw fail(
      `its samples are of form ${form} with ${bits} bits, expected PCM (1) of 8, 16, 24 or 32 bits, or floats (3) of 32 or 64`,
    );
  }
  const frameBytes = view.getUint16(12, true);
  if (channels === 0 || frameBytes !== channels * bits / 8) {
    throw fail(`its frames of ${channels} channels with ${bits} bits have ${frameBytes} bytes`);
  }
  return { channels, sampleRate: view.getUint32(4, true), bits, isFloat };
}

/** Reads the sample at an offset. */
type SampleReader = (view: DataView, offset: number) => number;

function sampleReader(bits: number, isFloat: boolean): SampleReader {
  if (isFloat) {
    return bits === 32
      ? (view, offset) => view.getFloat32(offset, true)
      : (view, offset) => view.getFloat64(offset, true);
  }
  switch (bits) {
    case 8: // Of these alone, silence is in the middle.
      return (view, offset) => (view.getUint8(offset) - 128) / 128;
    case 16:
      return (view, offset) => view.getInt16(offset, true) / 2 ** 15;
    case 24:
      return (view, offset) =>
        (view.getInt8(offset + 2) * 2 ** 16 + view.getUint16(offset, true)) / 2 ** 23;
    default:
      return (view, offset) => view.getInt32(offset, true) / 2 ** 31;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function textAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}
