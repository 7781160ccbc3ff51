/** A grey image in characters, two pixels in one: the upper half block has one color above, one below. */

import type { PixelArray } from "../../io/images/image.ts";

/** Without colors a pixel is either there or not: from this byte on it is. */
const THRESHOLD = 128;

/** Puts the terminal's own colors back. */
const RESET = "\x1b[0m";

/**
 * Draws the pixels that have been seen; the others are left empty.
 *
 * @param image One grey image.
 * @param seen How many pixels, from the first, row by row.
 * @param colors Whether to draw in shades of grey, which needs a terminal of 256 colors.
 * @returns Half as many lines as the image has rows, each as many characters wide as the image.
 */
export function drawImage(
  { width, height, pixels }: PixelArray,
  seen: number,
  colors: boolean,
): string[] {
  const cell = colors ? greyCell : plainCell;
  return Array.from({ length: Math.ceil(height / 2) }, (_, line) => {
    let text = "";
    let style = RESET;
    for (let x = 0; x < width; x++) {
      const above = 2 * line * width + x, below = above + width;
      const pixel = (at: number) => at < seen ? pixels[at] : undefined;
      const next = cell(pixel(above), pixel(below));
      // Only changes are written: a frame then is about a tenth as long.
      if (next.style !== style) text += next.style;
      style = next.style;
      text += next.character;
    }
    return style === RESET ? text : text + RESET;
  });
}

interface Cell {
  /** Escape sequence that sets its colors. */
  readonly style: string;
  readonly character: string;
}

function greyCell(above: number | undefined, below: number | undefined): Cell {
  if (above === undefined) return { style: RESET, character: " " };
  const background = below === undefined ? "" : `\x1b[48;5;${shade(below)}m`;
  return { style: `${RESET}\x1b[38;5;${shade(above)}m${background}`, character: "▀" };
}

/** The nearest of the 24 greys of a palette of 256 colors, which go from 8 to 238 in steps of 10. */
function shade(byte: number): number {
  return 232 + Math.min(Math.max(Math.round((byte - 8) / 10), 0), 23);
}

function plainCell(above = 0, below = 0): Cell {
  const character = above >= THRESHOLD
    ? below >= THRESHOLD ? "█" : "▀"
    : below >= THRESHOLD
    ? "▄"
    : " ";
  return { style: RESET, character };
}
