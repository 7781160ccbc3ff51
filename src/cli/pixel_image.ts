/** Images that `infer.ts generate` makes pixel by pixel: where one begins, and how it is drawn as text. */

import type { PixelArray } from "../io/image.ts";
import type { ModelConfig, PixelPreprocessing } from "../model/config.ts";

/** How an image becomes ids, for a model that makes images; `undefined` for one of text. */
export function pixelLayout({ preprocessing }: ModelConfig): PixelPreprocessing | undefined {
  return preprocessing?.kind === "pixels" ? preprocessing : undefined;
}

/**
 * The id that begins an image of a class.
 *
 * @param name The class; empty for a model that knows none.
 * @throws {RangeError} If the model has no such class.
 */
export function imageStart(name: string, { labels, real_vocab_size }: ModelConfig): number {
  const index = labels === undefined ? (name === "" ? 0 : -1) : labels.indexOf(name);
  if (index < 0) {
    throw new RangeError(
      `Cannot begin an image of ${JSON.stringify(name)}: this model's images ` +
        (labels === undefined
          ? "have no classes"
          : `are of ${labels.join(", ")}. Give one as prompt`),
    );
  }
  return real_vocab_size + index;
}

/** From black to white. Two of them are about as wide as they are high. */
const SHADES = " ░▒▓█";

/** An image in the making: fed all that the model is. What is not fed yet is black. */
export class PixelImage implements PixelArray {
  readonly width: number;
  readonly height: number;
  readonly channels = 1;
  readonly pixels: Uint8Array;
  /** Inputs so far: the id that begins the image, then its pixels. */
  #position: number;

  /** @param position Inputs that came before: those of a loaded state. */
  constructor({ width, height }: PixelPreprocessing, position: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height);
    this.#position = position;
  }

  /** Ids that the image still lacks. */
  get missing(): number {
    return Math.max(0, this.pixels.length + 1 - this.#position);
  }

  /** Takes the next ids, and gives the rows that they complete, as lines of text. */
  feed(ids: readonly number[]): string {
    let rows = "";
    for (const id of ids) {
      const index = this.#position++ - 1;
      if (index < 0 || index >= this.pixels.length) continue;
      this.pixels[index] = id;
      if ((index + 1) % this.width === 0) rows += this.#line(index + 1);
    }
    return rows;
  }

  /** The row before pixel `end`. */
  #line(end: number): string {
    const row = this.pixels.subarray(end - this.width, end);
    const shades = Array.from(row, (value) => SHADES.charAt(value * SHADES.length >> 8).repeat(2));
    return `${shades.join("").trimEnd()}\n`;
  }
}
