/** Bytes of sound as they come, to samples: those of a WAV file, or raw ones. */

import { quote } from "../quote.ts";
import { Resampler } from "./resampler.ts";
import { type SampleFormat, SampleReader } from "./samples.ts";
import { parseWavHeader } from "./wav.ts";

/** How a WAV file begins. */
const RIFF = "RIFF";

/**
 * The samples of a stream of bytes, of one channel, from -1 to 1. What begins as a WAV file does is one, and says what its
 * samples are: of another rate than raw ones have, they are resampled.
 *
 * @param bytes Their source; nothing is asked of it that was not asked of this.
 * @param name What error messages call it.
 * @param raw What the samples are where nothing says so.
 * @param onRate Is told the rate at which they come, before the first of them, and may throw.
 * @throws {SyntaxError} If the source begins as a WAV file, and is none that is read.
 * @throws {RangeError} If a sample is no finite number.
 */
export async function* sampleStream(
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
  name: string,
  raw: SampleFormat,
  onRate: (sampleRate: number) => void,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  let resampler: Resampler | undefined;
  const begin = (sampleRate: number) => {
    onRate(sampleRate);
    if (sampleRate !== raw.sample_rate) resampler = new Resampler(sampleRate, raw.sample_rate);
  };
  for await (const samples of samplesAsTheyAre(bytes, name, raw, begin)) {
    const own = resampler?.push(samples) ?? samples;
    if (own.length > 0) yield own;
  }
  const rest = resampler?.finish() ?? new Float32Array();
  if (rest.length > 0) yield rest;
}

async function* samplesAsTheyAre(
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
  name: string,
  raw: SampleFormat,
  onRate: (sampleRate: number) => void,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  let start: Uint8Array<ArrayBuffer> | undefined = new Uint8Array();
  let reader: SampleReader | undefined;
  /** Bytes of samples to come: after them, a WAV file may have other things. */
  let left = Infinity;
  let count = 0;
  for await (const piece of bytes) {
    let body = piece;
    if (start !== undefined) {
      start = joined(start, piece);
      const begun = beginning(start, name, raw);
      if (begun === undefined) continue;
      onRate(begun.format.sample_rate);
      reader = new SampleReader(begun.format);
      left = begun.dataBytes;
      body = start.subarray(begun.dataStart);
      start = undefined;
    }
    const samples = reader?.push(body.subarray(0, left)) ?? new Float32Array();
    left -= Math.min(left, body.length);
    const bad = samples.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot read ${quote(name)}: sample ${count + bad} is ${
          samples[bad]
        }, expected a finite number`,
      );
    }
    count += samples.length;
    if (samples.length > 0) yield samples;
    if (left === 0) return;
  }
  if (start === undefined || start.length === 0) return;
  if (isRiff(start)) {
    throw new SyntaxError(
      `Cannot read ${
        quote(name)
      } as WAV: it ends after ${start.length} bytes, before its samples begin`,
    );
  }
  onRate(raw.sample_rate);
  const samples = new SampleReader(raw).push(start);
  if (samples.length > 0) yield samples;
}

/** What the samples are, and where they begin; `undefined` where more bytes are needed to tell. */
function beginning(
  start: Uint8Array,
  name: string,
  raw: SampleFormat,
): { format: SampleFormat; dataStart: number; dataBytes: number } | undefined {
  if (start.length < RIFF.length) return undefined;
  if (!isRiff(start)) return { format: raw, dataStart: 0, dataBytes: Infinity };
  const header = parseWavHeader(start, name);
  return header && { ...header, dataBytes: header.dataBytes ?? Infinity };
}

function isRiff(start: Uint8Array): boolean {
  return String.fromCharCode(...start.subarray(0, RIFF.length)) === RIFF;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
