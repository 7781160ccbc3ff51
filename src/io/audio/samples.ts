/** Samples of sound as bytes, in the forms that recorders write. */

/** How one sample is written: little-endian, unsigned or signed whole numbers, or floats. */
export type SampleEncoding = "u8" | "s16" | "s24" | "s32" | "f32";

/** What bytes of sound are. */
export interface SampleFormat {
  /** How a sample is written. */
  readonly encoding: SampleEncoding;
  /** Channels, whose samples take turns. */
  readonly channels: number;
  /** Samples a second, of each channel. */
  readonly sample_rate: number;
}

/** Bytes of a sample. */
export const SAMPLE_BYTES: Readonly<Record<SampleEncoding, number>> = {
  ...{ u8: 1, s16: 2, s24: 3, s32: 4, f32: 4 },
};

/** A sample from -1 to 1. */
const READ: Readonly<Record<SampleEncoding, (view: DataView, at: number) => number>> = {
  u8: (view, at) => (view.getUint8(at) - 128) / 2 ** 7,
  s16: (view, at) => view.getInt16(at, true) / 2 ** 15,
  s24: (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  s32: (view, at) => view.getInt32(at, true) / 2 ** 31,
  f32: (view, at) => view.getFloat32(at, true),
};

/** Bytes to samples of one channel, as they come: a sample may be cut between two pieces. */
export class SampleReader {
  readonly #read: (view: DataView, at: number) => number;
  readonly #sampleBytes: number;
  readonly #channels: number;
  /** The bytes of a sample that is not whole yet. */
  #rest = new Uint8Array();

  /** Reads samples of this format. */
  constructor({ encoding, channels }: Omit<SampleFormat, "sample_rate">) {
    this.#read = READ[encoding];
    this.#sampleBytes = SAMPLE_BYTES[encoding];
    this.#channels = channels;
  }

  /**
   * Takes the next bytes.
   *
   * @returns The samples that they complete: of several channels, the mean.
   */
  push(bytes: Uint8Array): Float32Array<ArrayBuffer> {
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    }
    const block = this.#sampleBytes * this.#channels;
    const count = Math.floor(all.length / block);
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    const samples = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let channel = 0; channel < this.#channels; channel++) {
        sum += this.#read(view, i * block + channel * this.#sampleBytes);
      }
      samples[i] = sum / this.#channels;
    }
    this.#rest = all.slice(count * block);
    return samples;
  }
}
