import { joinBytes, le } from "../join_bytes.ts";

/** What a WAV file is made of. */
export interface WavParts {
  /** 1 for whole numbers, 3 for floats. */
  readonly code?: number;
  readonly channels?: number;
  readonly sampleRate?: number;
  readonly bits?: number;
  /** Chunks between "fmt " and "data". */
  readonly between?: Uint8Array<ArrayBuffer>;
  /** What the file says of its data's length. */
  readonly stated?: number;
}

/** A WAV file of these bytes of samples. */
export function wavFile(
  data: Uint8Array<ArrayBuffer>,
  { code = 1, channels = 1, sampleRate = 8000, bits = 16, between, stated }: WavParts = {},
): Uint8Array<ArrayBuffer> {
  const block = channels * bits / 8;
  const rest = joinBytes(
    joinBytes("WAVEfmt ", le(16, 4), le(code, 2), le(channels, 2), le(sampleRate, 4)),
    joinBytes(le(sampleRate * block, 4), le(block, 2), le(bits, 2)),
    between ?? new Uint8Array(),
    joinBytes("data", le(stated ?? data.length, 4), data),
  );
  return new Uint8Array(joinBytes("RIFF", le(rest.length, 4), rest));
}

/** Samples from -1 to 1 as 16 bits each. */
export function s16(samples: Iterable<number>): Uint8Array<ArrayBuffer> {
  const values = Int16Array.from(samples, (value) => Math.round(value * 32767));
  return new Uint8Array(values.buffer);
}

/** A tone, with silence around it. */
export function tone(
  { silence, length, hertz = 440, height = 0.3, sampleRate = 8000 }: {
    readonly silence: number;
    readonly length: number;
    readonly hertz?: number;
    readonly height?: number;
    readonly sampleRate?: number;
  },
): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(length + 2 * silence);
  for (let i = 0; i < length; i++) {
    samples[silence + i] = height * Math.sin(2 * Math.PI * hertz * i / sampleRate);
  }
  return samples;
}
