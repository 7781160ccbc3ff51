/** Images that `infer.ts generate` makes pixel by pixel: where one begins, and how it is drawn as text. */

import type { PixelArray } from "../../io/images/image.ts";
import type { ModelConfig, PixelPreprocessing } from "../../model/config/config.ts";
import { drawImage } from "../terminal/draw_image.ts";

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

/** Ids below this are pixels; the others begin images. */
const GREY_VALUES = 256;

/** An image in the making: fed all that the model is. What is not fed yet is black. */
export class PixelImage implements PixelArray {
  readonly width: number;
  readonly height: number;
  readonly channels = 1;
  readonly pixels: Uint8Array;
  readonly #colors: boolean;
  /** Inputs so far: the id that begins the image, then its pixels. */
  #position: number;

  /** Starts after `position` inputs, those of a loaded state. `colors`: whether it may be drawn in shades of grey. */
  constructor(
    { width, height }: PixelPreprocessing,
    { position, colors }: { readonly position: number; readonly colors: boolean },
  ) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height);
    this.#position = position;
    this.#colors = colors;
  }

  /** Ids that the image still lacks. */
  get missing(): number {
    return Math.max(0, this.pixels.length + 1 - this.#position);
  }

  /** Takes the next ids, and gives the lines of the drawing that they complete, two rows of pixels each. */
  feed(ids: readonly number[]): string {
    let lines = "";
    for (const id of ids) {
      if (id >= GREY_VALUES) {
        // It begins an image, whatever came before.
        this.#position = 1;
        this.pixels.fill(0);
        continue;
      }
      const end = this.#position++;
      if (end < 1 || end > this.pixels.length) continue;
      this.pixels[end - 1] = id;
      if (end % (2 * this.width) === 0 || end === this.pixels.length) {
        const line = Math.ceil(end / (2 * this.width)) - 1;
        lines += `${drawImage(this, end, this.#colors)[line] ?? ""}\n`;
      }
    }
    return lines;
  }
}
