/**
 * Sound as frames: how much power it has in bands of frequency, some sixty times a second.
 *
 *     frame t, band m:  log(floor + sum over k of filter[m][k] |FFT(hann x samples from t hop on)[k]|^2 / window^2)
 *
 * Bands are triangles that overlap by half, equally wide in mel (2595 log10(1 + f / 700)), of height 1.
 */

import { powerSpectrum } from "./power_spectrum.ts";

/** How sound becomes frames, as a checkpoint's `preprocessing` says it. */
export interface MelLayout {
  /** Samples a second. */
  readonly sample_rate: number;
  /** Samples of a frame: a power of two. */
  readonly window: number;
  /** Samples from the start of one frame to that of the next. */
  readonly hop: number;
  /** Bands of frequency: the numbers of a frame. */
  readonly n_mels: number;
  /** Where the lowest band begins, in Hz. */
  readonly f_min: number;
  /** Where the highest band ends, in Hz. */
  readonly f_max: number;
  /** Power that is added to every band before the logarithm: silence. */
  readonly floor: number;
}

/** The samples of a stream of sound to the powers of its frames' bands, as they come. */
export class MelFrames {
  readonly #layout: MelLayout;
  readonly #filters: readonly Band[];
  readonly #window: Float64Array;
  /** Samples that later frames need. */
  #samples = new Float32Array();
  /** Samples to pass over before the next frame begins, where a hop is longer than a window. */
  #skipped = 0;

  /** Starts at the first sample of a stream. */
  constructor(layout: MelLayout) {
    const { window } = layout;
    this.#layout = layout;
    this.#filters = melBands(layout);
    this.#window = Float64Array.from(
      { length: window },
      (_, i) => (0.5 - 0.5 * Math.cos(2 * Math.PI * i / window)) / window,
    );
  }

  /**
   * Takes the next samples.
   *
   * @returns Powers (frames, n_mels) of the frames that they complete; none, where they complete none.
   */
  push(samples: Float32Array): Float32Array<ArrayBuffer> {
    const { window, hop, n_mels } = this.#layout;
    const all = new Float32Array(this.#samples.length + samples.length);
    all.set(this.#samples);
    all.set(samples, this.#samples.length);
    let start = Math.min(this.#skipped, all.length);
    this.#skipped -= start;
    const count = this.#skipped > 0 ? 0 : frameCount(all.length - start, { window, hop });
    const powers = new Float32Array(count * n_mels);
    const windowed = new Float64Array(window);
    for (let frame = 0; frame < count; frame++, start += hop) {
      for (let i = 0; i < window; i++) {
        windowed[i] = (all[start + i] ?? 0) * (this.#window[i] ?? 0);
      }
      const spectrum = powerSpectrum(windowed);
      this.#filters.forEach(({ first, weights }, band) => {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum += (weights[k] ?? 0) * (spectrum[first + k] ?? 0);
        }
        powers[frame * n_mels + band] = sum;
      });
    }
    this.#skipped += Math.max(0, start - all.length);
    this.#samples = all.slice(Math.min(start, all.length));
    return powers;
  }
}

/** How many whole frames so many samples make. */
export function frameCount(
  samples: number,
  { window, hop }: Pick<MelLayout, "window" | "hop">,
): number {
  return samples < window ? 0 : 1 + Math.floor((samples - window) / hop);
}

/** A triangle over the bins of a spectrum. */
interface Band {
  /** Its first bin. */
  readonly first: number;
  /** Of its bins from there on. */
  readonly weights: readonly number[];
}

function melBands({ sample_rate, window, n_mels, f_min, f_max }: MelLayout): Band[] {
  const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
  const hertz = (m: number) => 700 * (10 ** (m / 2595) - 1);
  const low = mel(f_min), width = (mel(f_max) - low) / (n_mels + 1);
  const corner = (index: number) => hertz(low + index * width) * window / sample_rate;
  return Array.from({ length: n_mels }, (_, band) => {
    const [from, top, to] = [corner(band), corner(band + 1), corner(band + 2)];
    // Low bands may be narrower than a bin: each has at least the bin nearest to its top.
    const first = Math.min(Math.ceil(from), Math.round(top));
    const last = Math.max(Math.floor(to), Math.round(top));
    const weights = Array.from({ length: last - first + 1 }, (_, k) => {
      const bin = first + k;
      const height = bin <= top ? (bin - from) / (top - from) : (to - bin) / (to - top);
      return Math.max(0, height);
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {
      first,
      weights: sum > 0 ? weights : weights.map((_, k) => +(first + k === Math.round(top))),
    };
  });
}
