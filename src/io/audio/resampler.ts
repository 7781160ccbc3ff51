/**
 * Samples of one rate to samples of another, as they come: a low-pass filter, taken where the new samples lie.
 *
 *     y[n] = sum over i of x[i] h(n from / to - i),   h(t) = c sinc(c t) kaiser(t / half)
 *
 * c is the filter's edge in units of the old Nyquist frequency: a little below the lower of the two, so that what the new
 * rate cannot hold is gone before it would be heard as something else.
 */

/** Zeros of the sinc on either side. With the edge, what folds is within 75 Hz of 4 kHz at 8,000 samples a second. */
const ZEROS = 32;
/** The edge's place below the lower Nyquist frequency. */
const EDGE = 0.94;
/** Kaiser's parameter: what is beyond the edge comes through 80 dB softer. */
const BETA = 8;
/** Entries of the table a zero: between them it is linear, to -100 dB. */
const ENTRIES = 256;

/** Resamples a stream of one channel, in constant memory. */
export class Resampler {
  readonly #from: number;
  readonly #to: number;
  /** The filter from its middle on. */
  readonly #filter: Float64Array;
  /** Entries of it an old sample. */
  readonly #entries: number;
  /** Old samples on either side of a new one. */
  readonly #half: number;
  /** Old samples that new ones still need; before the first there was silence. */
  #held: Float32Array<ArrayBuffer>;
  /** The old sample among them at or before the next new one, ... */
  #at: number;
  /** ... and how far behind it that is, in parts of which `to` make an old sample: whole numbers never drift. */
  #behind = 0;

  /**
   * @param from Samples a second that come.
   * @param to Samples a second that are wanted.
   * @throws {RangeError} If either is not a whole number above 0.
   */
  constructor(from: number, to: number) {
    for (const rate of [from, to]) {
      if (Number.isSafeInteger(rate) && rate > 0) continue;
      throw new RangeError(
        `Cannot resample: a rate is ${rate} samples a second, expected a whole number above 0`,
      );
    }
    const edge = EDGE * Math.min(1, to / from);
    this.#from = from;
    this.#to = to;
    this.#filter = lowPass(edge);
    this.#entries = ENTRIES * edge;
    this.#half = Math.ceil(ZEROS / edge);
    this.#held = new Float32Array(this.#half);
    this.#at = this.#half;
  }

  /**
   * Takes the next samples.
   *
   * @returns New ones, up to where those that came reach on either side.
   */
  push(samples: Float32Array): Float32Array<ArrayBuffer> {
    const all = new Float32Array(this.#held.length + samples.length);
    all.set(this.#held);
    all.set(samples, this.#held.length);
    const end = all.length - this.#half;
    const most = Math.max(0, Math.ceil((end - this.#at) * this.#to / this.#from));
    const made = new Float32Array(most);
    let count = 0;
    for (; this.#at < end; count++) {
      made[count] = this.#sampleAt(all);
      const next = this.#behind + this.#from;
      this.#at += Math.floor(next / this.#to);
      this.#behind = next % this.#to;
    }
    const unneeded = Math.min(Math.max(0, this.#at - this.#half + 1), all.length);
    this.#held = all.slice(unneeded);
    this.#at -= unneeded;
    return made.subarray(0, count);
  }

  /** The new samples up to the last old one, as if silence followed. */
  finish(): Float32Array<ArrayBuffer> {
    return this.push(new Float32Array(this.#half));
  }

  #sampleAt(all: Float32Array): number {
    const behind = this.#behind / this.#to;
    let sum = 0;
    for (let i = this.#at - this.#half + 1; i <= this.#at + this.#half; i++) {
      const place = Math.abs(this.#at + behind - i) * this.#entries;
      const entry = Math.floor(place);
      const before = this.#filter[entry] ?? 0, after = this.#filter[entry + 1] ?? 0;
      sum += (all[i] ?? 0) * (before + (place - entry) * (after - before));
    }
    return sum;
  }
}

/** All samples of a recording at another rate, as {@linkcode Resampler} gives them. */
export function resampled(
  samples: Float32Array,
  from: number,
  to: number,
): Float32Array {
  if (from === to) return samples;
  const resampler = new Resampler(from, to);
  const made = resampler.push(samples), rest = resampler.finish();
  const all = new Float32Array(made.length + rest.length);
  all.set(made);
  all.set(rest, made.length);
  return all;
}

/** A sinc under Kaiser's window, from its middle to where it ends. */
function lowPass(edge: number): Float64Array {
  return Float64Array.from({ length: ZEROS * ENTRIES + 1 }, (_, entry) => {
    const t = entry / ENTRIES;
    const sinc = t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t);
    return edge * sinc * bessel(BETA * Math.sqrt(1 - (t / ZEROS) ** 2)) / bessel(BETA);
  });
}

/** The modified Bessel function of the first kind, of order 0: its power series. */
function bessel(x: number): number {
  let sum = 1, term = 1;
  for (let k = 1; term > sum * 1e-16; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}
