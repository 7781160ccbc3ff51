/**
 * WAV files: RIFF chunks, of which "fmt " says what the samples are and "data" holds them.
 *
 * The header is read apart from the samples, so that a recording in the making can be read as it comes: its length is
 * then not known, and what stands in its place is no error.
 */

import { quote } from "../quote.ts";
import { SAMPLE_BYTES, type SampleEncoding, type SampleFormat, SampleReader } from "./samples.ts";

/** Sound of one channel. */
export interface Recording {
  /** Samples a second. */
  readonly sample_rate: number;
  /** Samples, from -1 to 1. */
  readonly samples: Float32Array<ArrayBuffer>;
}

/** What a file says before its samples. */
export interface WavHeader {
  /** What the samples are. */
  readonly format: SampleFormat;
  /** Where they begin. */
  readonly dataStart: number;
  /** How many bytes of them there are; `undefined` where they go on to the end, whenever that is. */
  readonly dataBytes: number | undefined;
}

/** Headers are some hundred bytes; what comes before the samples in real files, such as names and notes, some thousand. */
const MAX_HEADER_BYTES = 2 ** 20;
const ENCODINGS: readonly SampleEncoding[] = ["u8", "s16", "s24", "s32", "f32"];
/** Codes of WAVE_FORMAT. */
const PCM = 1, FLOAT = 3, EXTENSIBLE = 0xfffe;
/** Recorders that cannot know the length yet write about the largest that there is, signed or unsigned. */
const UNKNOWN_BYTES = 0x7fff0000;
/** Bytes of a RIFF header, and of a chunk's. */
const RIFF_BYTES = 12, CHUNK_BYTES = 8;

/** Whether bytes begin as a WAV file does. */
export function isWav(bytes: Uint8Array): boolean {
  return bytes.length >= RIFF_BYTES && tagAt(bytes, 0) === "RIFF" && tagAt(bytes, 8) === "WAVE";
}

/**
 * Reads what stands before the samples.
 *
 * @param bytes The file's beginning.
 * @param name What error messages call the file.
 * @returns `undefined` where more bytes are needed to tell.
 * @throws {SyntaxError} If the file is no WAV file, or its samples are packed in a way that is not read.
 */
export function parseWavHeader(bytes: Uint8Array, name: string): WavHeader | undefined {
  const fail = (found: string) => new SyntaxError(`Cannot read ${quote(name)} as WAV: ${found}`);
  if (bytes.length < RIFF_BYTES) return undefined;
  if (!isWav(bytes)) throw fail("it does not begin with RIFF and WAVE");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: SampleFormat | undefined;
  for (let at = RIFF_BYTES; at <= MAX_HEADER_BYTES;) {
    if (at + CHUNK_BYTES > bytes.length) return undefined;
    const tag = tagAt(bytes, at), size = view.getUint32(at + 4, true);
    const start = at + CHUNK_BYTES;
    if (tag === "data") {
      if (format === undefined) throw fail('"data" comes before "fmt "');
      return { format, dataStart: start, dataBytes: size >= UNKNOWN_BYTES ? undefined : size };
    }
    if (tag === "fmt ") {
      if (size < 16) throw fail(`"fmt " has ${size} bytes, expected 16 or more`);
      if (start + Math.min(size, 40) > bytes.length) return undefined;
      format = parseFormat(view, start, size, fail);
    }
    // Chunks begin at even offsets.
    at = start + size + size % 2;
  }
  throw fail(`its first ${MAX_HEADER_BYTES} bytes have no "data"`);
}

function parseFormat(
  view: DataView,
  at: number,
  size: number,
  fail: (found: string) => Error,
): SampleFormat {
  const tag = view.getUint16(at, true);
  // The extensible form has the code at the start of an identifier of 16 bytes.
  const code = tag === EXTENSIBLE && size >= 40 ? view.getUint16(at + 24, true) : tag;
  const channels = view.getUint16(at + 2, true), sample_rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  const encoding = ENCODINGS.find((name) =>
    SAMPLE_BYTES[name] * 8 === bits && (name === "f32" ? FLOAT : PCM) === code
  );
  if (encoding === undefined) {
    throw fail(
      `its samples are of format ${code} in ${bits} bits, expected whole numbers of 8, 16, 24 or 32 bits, or floats of 32`,
    );
  }
  if (channels === 0 || sample_rate === 0) {
    throw fail(`it has ${channels} channels of ${sample_rate} samples a second, expected some`);
  }
  const needed = channels * SAMPLE_BYTES[encoding];
  const block = view.getUint16(at + 12, true);
  if (block !== needed) {
    throw fail(
      `a sample of all channels has ${block} bytes, and ${channels} channels of ${bits} bits need ${needed}`,
    );
  }
  return { encoding, channels, sample_rate };
}

/**
 * Reads a whole WAV file: whole numbers of 8 to 32 bits, or floats. Several channels become their mean.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @throws {SyntaxError} If it is no such file, is cut short, or holds no samples or some that are no finite numbers.
 */
export function parseWav(bytes: Uint8Array, name: string): Recording {
  const fail = (found: string) => new SyntaxError(`Cannot read ${quote(name)} as WAV: ${found}`);
  const header = parseWavHeader(bytes, name);
  if (header === undefined) {
    throw fail(`it ends after ${bytes.length} bytes, before its samples begin`);
  }
  const { format, dataStart } = header;
  const held = bytes.length - dataStart;
  const dataBytes = header.dataBytes ?? held;
  if (dataBytes > held) {
    throw fail(`its samples have ${dataBytes} bytes, and ${held} are left: the file is cut short`);
  }
  const reader = new SampleReader(format);
  const samples = reader.push(bytes.subarray(dataStart, dataStart + dataBytes));
  if (samples.length === 0) throw fail("it holds no samples");
  const bad = samples.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw fail(`sample ${bad} is ${samples[bad]}, expected a finite number`);
  return { sample_rate: format.sample_rate, samples };
}

function tagAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
