/** What a classifier said after each pixel of an image. */

/** The probabilities as they come in, and what they mean. */
export class ImageReading {
  /** How many pixels there are. */
  readonly pixels: number;
  /** (pixels, classes). */
  readonly #probabilities: Float32Array;
  readonly #classes: number;
  #known = 0;

  constructor(pixels: number, classes: number) {
    this.pixels = pixels;
    this.#classes = classes;
    this.#probabilities = new Float32Array(pixels * classes);
  }

  /** Pixels that were read so far. */
  get known(): number {
    return this.#known;
  }

  /** Takes what came of some pixels. */
  add(from: number, probabilities: Float32Array): void {
    this.#probabilities.set(probabilities, from * this.#classes);
    this.#known = from + probabilities.length / this.#classes;
  }

  /** Probabilities after so many pixels, from 1 on. */
  after(seen: number): Float32Array {
    return this.#probabilities.subarray((seen - 1) * this.#classes, seen * this.#classes);
  }

  /** The likeliest class then. */
  classAfter(seen: number): number {
    const own = this.after(seen);
    return own.indexOf(own.reduce((most, value) => Math.max(most, value), 0));
  }

  /** The first number of pixels from which on the answer stays the same; undefined before all are read. */
  get decidedAfter(): number | undefined {
    if (this.#known < this.pixels) return undefined;
    const last = this.classAfter(this.pixels);
    let seen = this.pixels;
    while (seen > 1 && this.classAfter(seen - 1) === last) seen--;
    return seen;
  }

  /** Probabilities of a class after each pixel that is known. */
  course(index: number): Float32Array {
    return Float32Array.from({ length: this.#known }, (_, i) => this.after(i + 1)[index] ?? 0);
  }
}
