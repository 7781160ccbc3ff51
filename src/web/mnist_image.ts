/** What was drawn by hand as MNIST has its digits: 20 pixels high or wide, and the center of mass in the middle of 28. */

const SIZE = 28;

/** The longer side of the ink, in MNIST's pixels. */
const INK_SIZE = 20;

/**
 * Scales and centers a drawing.
 *
 * @param ink How much there is at each point, from 0 to 255, row by row.
 * @param width Points in a row.
 * @returns 28 x 28 bytes; undefined where nothing is drawn.
 */
export function toMnistImage(ink: Uint8ClampedArray, width: number): Uint8Array | undefined {
  const height = ink.length / width;
  const sums = integral(ink, width, height);
  const box = boundingBox(ink, width);
  if (box === undefined) return undefined;
  // Points a pixel of the result.
  const step = Math.max(box.right - box.left, box.bottom - box.top) / INK_SIZE;
  const image = new Uint8Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    const top = box.centerY + (y - SIZE / 2) * step;
    for (let x = 0; x < SIZE; x++) {
      const left = box.centerX + (x - SIZE / 2) * step;
      const [x0, x1] = [clamp(left, width), clamp(left + step, width)];
      const [y0, y1] = [clamp(top, height), clamp(top + step, height)];
      const at = (column: number, row: number) => sums[row * (width + 1) + column] ?? 0;
      const sum = at(x1, y1) - at(x0, y1) - at(x1, y0) + at(x0, y0);
      image[y * SIZE + x] = Math.min(255, Math.round(sum / (step * step)));
    }
  }
  return image;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly centerX: number;
  readonly centerY: number;
}

/** Where the ink is, and its center of mass. */
function boundingBox(ink: Uint8ClampedArray, width: number): Box | undefined {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  let mass = 0, momentX = 0, momentY = 0;
  for (const [i, value] of ink.entries()) {
    if (value === 0) continue;
    const x = i % width, y = Math.floor(i / width);
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
    mass += value;
    momentX += value * (x + 0.5);
    momentY += value * (y + 0.5);
  }
  if (mass === 0) return undefined;
  return { left, right, top, bottom, centerX: momentX / mass, centerY: momentY / mass };
}

/** Sums of all that lies above and to the left, (height + 1, width + 1). */
function integral(ink: Uint8ClampedArray, width: number, height: number): Float64Array {
  const sums = new Float64Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += ink[y * width + x] ?? 0;
      sums[(y + 1) * (width + 1) + x + 1] = row + (sums[y * (width + 1) + x + 1] ?? 0);
    }
  }
  return sums;
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(most, Math.round(value)));
}
