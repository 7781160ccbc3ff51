/** Frames of a WAV file as they come, all channels of each. */

import { SAMPLE_BYTES, SampleReader } from "../audio/samples.ts";
import { parseWavHeader, type WavHeader } from "../audio/wav.ts";
import { quote } from "../quote.ts";
import type { ByteReader } from "./byte_stream.ts";

/** Bytes of the shortest header, and those by which more of it is asked for. */
const HEADER_BYTES = 44;

/**
 * Reads what stands before the samples.
 *
 * @throws {SyntaxError} If it is not WAV, of a form that is not read, or ends before its samples.
 */
export async function readWavHeader(reader: ByteReader): Promise<WavHeader> {
  for (let length = HEADER_BYTES;; length += HEADER_BYTES) {
    const start = await reader.peek(length);
    const header = parseWavHeader(start, reader.name);
    if (header !== undefined) {
      await reader.take(header.dataStart, "the header");
      return header;
    }
    if (start.length < length) {
      throw new SyntaxError(
        `Cannot read ${
          quote(reader.name)
        } as WAV: it ends after ${start.length} bytes, before its samples begin`,
      );
    }
  }
}

/**
 * Reads frames, as floats from -1 to 1.
 *
 * @returns Whole frames: (frames, channels).
 * @throws {SyntaxError} If it ends before its last frame, or a sample is no finite number.
 */
export async function* readWavFrames(
  reader: ByteReader,
  { format: { encoding, channels }, dataBytes = Infinity }: WavHeader,
): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  const fail = (found: string) =>
    new SyntaxError(`Cannot read ${quote(reader.name)} as WAV: ${found}`);
  const frameBytes = channels * SAMPLE_BYTES[encoding];
  // Of one channel, it leaves every sample as it is.
  const samplesOf = new SampleReader({ encoding, channels: 1 });
  for (let left = dataBytes; left >= frameBytes;) {
    const bytes = await reader.some(frameBytes, left);
    if (bytes.length === 0 && dataBytes === Infinity) return;
    if (bytes.length < frameBytes) {
      const missing = dataBytes === Infinity ? frameBytes - bytes.length : left - bytes.length;
      throw fail(`it ends at byte ${reader.position}, and ${missing} bytes of samples are missing`);
    }
    left -= bytes.length;
    const samples = samplesOf.push(bytes);
    const bad = samples.find((value) => !Number.isFinite(value));
    if (bad !== undefined) throw fail(`a sample is ${bad}, expected a finite number`);
    yield samples;
  }
}
