/** Training images changed at random, anew each epoch: moved, mirrored, warped, distorted, and partly erased. */

import type { ImageDataset } from "../io/datasets/image_dataset.ts";
import type { Draw } from "./batches.ts";
import { foldIn, randomAt, type RandomKey, randomKey } from "../model/random.ts";

/** What may happen to a training image. What comes in from outside of it is 0. */
export interface Augmentation {
  /** Of all that is drawn. */
  readonly seed: number;
  /** Images move by up to this many pixels in each direction. */
  readonly shift: number;
  /** Whether half of them are mirrored. */
  readonly flip: boolean;
  /**
   * How far each image is warped about its centre.
   *
   * @default {none}
   */
  readonly warp?: Warp;
  /**
   * Whether each image is distorted in one way, drawn among geometry and colours with a random strength, as TrivialAugment
   * does it (Müller & Hutter 2021).
   *
   * @default {false}
   */
  readonly distort?: boolean;
  /**
   * Side of a square that becomes 0 at a random place of each image (Cutout, DeVries & Taylor 2017).
   *
   * @default {0}
   */
  readonly erase?: number;
  /**
   * Epoch from which on images stay as they are.
   *
   * @default {Infinity}
   */
  readonly until?: number;
}

/** The largest of each, in both directions. */
export interface Warp {
  /** Turn, in degrees. */
  readonly turn: number;
  /** Change of width and of height, as a share of them. */
  readonly stretch: number;
  /** Slant, in pixels a row. */
  readonly slant: number;
}

/** Where a pixel (x, y) of the result comes from, both counted from the image's centre: (a x + b y + e, c x + d y + f). */
interface Placement {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

/** The pixels of one image, (height, width, channels), and its size. */
type Picture = Pick<ImageDataset, "height" | "width" | "channels">;

/** Changes all bytes of a picture in place; `strength` is uniform in [-1, 1). */
type Recolouring = (pixels: Uint8Array, picture: Picture, strength: number) => void;

/** Distortions of the geometry, at full strength. */
const WARPS: readonly Partial<Warp>[] = [{ turn: 30 }, { slant: 0.3 }, { stretch: 0.3 }];
const RECOLOURINGS: readonly Recolouring[] = [brighten, contrast, saturate, posterize, solarize];

/** Numbers that an image draws: one of these each. */
const DRAWN = {
  ...{ dx: 0, dy: 1, flip: 2, turn: 3, width: 4, height: 5, slant: 6 },
  ...{ distortion: 7, strength: 8, strengthToo: 9, eraseX: 10, eraseY: 11 },
} as const;

/**
 * Copies an image's pixels (height, width, channels), changed by what is drawn for it in that epoch.
 *
 * @param dataset The images.
 * @param augmentation What may happen to them; undefined for nothing.
 */
export function imageCopier(
  dataset: ImageDataset,
  augmentation?: Augmentation,
): (draw: Draw, to: Uint8Array) => void {
  const { images, height, width, channels } = dataset;
  const size = height * width * channels;
  const original = (example: number) => images.subarray(example * size, (example + 1) * size);
  if (augmentation === undefined) return ({ example }, to) => to.set(original(example));
  const { seed, erase = 0, until = Infinity } = augmentation;
  const key = randomKey(seed, "moves of images");
  return ({ example, epoch }, to) => {
    if (epoch >= until) return to.set(original(example));
    const own = foldIn(foldIn(key, epoch), example);
    const [placement, recolouring] = draw(own, augmentation, channels);
    place(original(example), to, dataset, placement);
    recolouring?.(to, dataset, signed(own, DRAWN.strength));
    if (erase > 0) eraseSquare(to, dataset, own, erase);
  };
}

/** What happens to one image. */
function draw(
  own: RandomKey,
  { shift, flip, warp, distort = false }: Augmentation,
  channels: number,
): [Placement, Recolouring | undefined] {
  const move = (index: number) => Math.floor(randomAt(own, index) * (2 * shift + 1)) - shift;
  const dx = move(DRAWN.dx), dy = move(DRAWN.dy);
  const mirrored = flip && randomAt(own, DRAWN.flip) < 0.5;
  let placement: Placement = { a: mirrored ? -1 : 1, b: 0, c: 0, d: 1, e: dx, f: dy };
  if (warp !== undefined) {
    placement = warped(placement, warp, {
      turn: signed(own, DRAWN.turn),
      width: signed(own, DRAWN.width),
      height: signed(own, DRAWN.height),
      slant: signed(own, DRAWN.slant),
    });
  }
  if (!distort) return [placement, undefined];
  // The last choice is to leave it.
  const recolourings = channels === 3 ? RECOLOURINGS : [];
  const choice = Math.floor(
    randomAt(own, DRAWN.distortion) * (WARPS.length + recolourings.length + 1),
  );
  const chosen = WARPS[choice];
  if (chosen === undefined) return [placement, recolourings[choice - WARPS.length]];
  const strength = signed(own, DRAWN.strength);
  const strengths = { turn: strength, width: strength, slant: strength };
  return [
    warped(placement, { turn: 0, stretch: 0, slant: 0, ...chosen }, {
      ...strengths,
      height: signed(own, DRAWN.strengthToo),
    }),
    undefined,
  ];
}

/** Uniform in [-1, 1). */
function signed(own: RandomKey, index: number): number {
  return 2 * randomAt(own, index) - 1;
}

/** The warp, each part at its strength, before the placement. */
function warped(
  { a, b, c, d, e, f }: Placement,
  { turn, stretch, slant }: Warp,
  strengths: { turn: number; width: number; height: number; slant: number },
): Placement {
  const angle = turn * strengths.turn * Math.PI / 180;
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const across = 1 / (1 + stretch * strengths.width), down = 1 / (1 + stretch * strengths.height);
  const lean = slant * strengths.slant;
  // The turn after the slant after the stretch.
  const [p, q, r, s] = [
    cos * across,
    (cos * lean - sin) * down,
    sin * across,
    (sin * lean + cos) * down,
  ];
  return {
    ...{ a: p * a + q * c, b: p * b + q * d, c: r * a + s * c, d: r * b + s * d },
    ...{ e: p * e + q * f, f: r * e + s * f },
  };
}

/** Copies a picture to where the placement says. */
function place(from: Uint8Array, to: Uint8Array, picture: Picture, placement: Placement): void {
  const { a, b, c, d, e, f } = placement;
  const isWhole = Math.abs(a) === 1 && b === 0 && c === 0 && d === 1;
  if (isWhole && Number.isInteger(e) && Number.isInteger(f)) {
    placeWhole(from, to, picture, placement);
  } else {
    placeBetween(from, to, picture, placement);
  }
}

/** Each pixel of the result is one of the picture's. */
function placeWhole(
  from: Uint8Array,
  to: Uint8Array,
  { height, width, channels }: Picture,
  { a, e, f }: Placement,
): void {
  const row = width * channels;
  // With a = -1, pixel 0 comes from the last one.
  const first = a === 1 ? e : width - 1 + e;
  const start = Math.max(0, a === 1 ? -e : first - width + 1);
  const end = Math.min(width, a === 1 ? width - e : first + 1);
  for (let y = Math.max(0, -f); y < Math.min(height, height - f); y++) {
    const source = (y + f) * row, target = y * row;
    if (a === 1) {
      to.set(
        from.subarray(source + (start + e) * channels, source + (end + e) * channels),
        target + start * channels,
      );
      continue;
    }
    for (let x = start; x < end; x++) {
      const i = source + (first - x) * channels, at = target + x * channels;
      for (let channel = 0; channel < channels; channel++) {
        to[at + channel] = from[i + channel] ?? 0;
      }
    }
  }
}

/** Each pixel of the result is interpolated between the picture's four nearest. */
function placeBetween(
  from: Uint8Array,
  to: Uint8Array,
  { height, width, channels }: Picture,
  { a, b, c, d, e, f }: Placement,
): void {
  const middleX = (width - 1) / 2, middleY = (height - 1) / 2;
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromX = a * (x - middleX) + b * (y - middleY) + e + middleX;
      const fromY = c * (x - middleX) + d * (y - middleY) + f + middleY;
      const left = Math.floor(fromX), top = Math.floor(fromY);
      if (left < -1 || left >= width || top < -1 || top >= height) continue;
      const right = fromX - left, down = fromY - top;
      // Neighbours outside count for nothing; any pixel will do in their place.
      const north = top >= 0 ? 1 - down : 0, south = top + 1 < height ? down : 0;
      const west = left >= 0 ? 1 - right : 0, east = left + 1 < width ? right : 0;
      const upper = Math.max(0, top) * row, lower = Math.min(top + 1, height - 1) * row;
      const near = Math.max(0, left) * channels, far = Math.min(left + 1, width - 1) * channels;
      const at = y * row + x * channels;
      for (let channel = 0; channel < channels; channel++) {
        const atWest = near + channel, atEast = far + channel;
        to[at + channel] = 0.5 +
          north * (west * (from[upper + atWest] ?? 0) + east * (from[upper + atEast] ?? 0)) +
          south * (west * (from[lower + atWest] ?? 0) + east * (from[lower + atEast] ?? 0));
      }
    }
  }
}

function brighten(pixels: Uint8Array, _: Picture, strength: number): void {
  mapBytes(pixels, (value) => value * (1 + 0.6 * strength));
}

/** Away from the mean, or towards it. */
function contrast(pixels: Uint8Array, _: Picture, strength: number): void {
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += pixels[i] ?? 0;
  const mean = sum / pixels.length;
  mapBytes(pixels, (value) => mean + (value - mean) * (1 + 0.6 * strength));
}

/** Away from each pixel's own grey, or towards it. */
function saturate(pixels: Uint8Array, _: Picture, strength: number): void {
  const factor = 1 + 0.8 * strength;
  for (let i = 0; i + 2 < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0];
    const grey = 0.299 * r + 0.587 * g + 0.114 * b;
    pixels[i] = toByte(grey + (r - grey) * factor);
    pixels[i + 1] = toByte(grey + (g - grey) * factor);
    pixels[i + 2] = toByte(grey + (b - grey) * factor);
  }
}

/** Keeps the first bits alone: 3 to 8 of them. */
function posterize(pixels: Uint8Array, _: Picture, strength: number): void {
  const step = 2 ** Math.floor(6 * Math.abs(strength));
  mapBytes(pixels, (value) => value - value % step);
}

/** Inverts what is brighter than a threshold. */
function solarize(pixels: Uint8Array, _: Picture, strength: number): void {
  const threshold = 255 - 191 * Math.abs(strength);
  mapBytes(pixels, (value) => value > threshold ? 255 - value : value);
}

/** A byte has 256 values: each is mapped once. */
function mapBytes(pixels: Uint8Array, map: (value: number) => number): void {
  const table = new Uint8Array(256);
  for (let value = 0; value < 256; value++) table[value] = toByte(map(value));
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[pixels[i] ?? 0] ?? 0;
}

function toByte(value: number): number {
  return Math.max(0, Math.min(255, Math.round(value)));
}

/** The square's centre can be at any pixel, so that a part of it may be outside. */
function eraseSquare(
  pixels: Uint8Array,
  { height, width, channels }: Picture,
  own: RandomKey,
  side: number,
): void {
  const first = (index: number, length: number) =>
    Math.floor(randomAt(own, index) * length) - Math.floor(side / 2);
  const left = first(DRAWN.eraseX, width), top = first(DRAWN.eraseY, height);
  const start = Math.max(0, left) * channels, end = Math.min(width, left + side) * channels;
  for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
    pixels.fill(0, y * width * channels + start, y * width * channels + end);
  }
}
