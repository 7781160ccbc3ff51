/** What every dataset of labelled images is once loaded. */

import { parseIdx } from "./idx.ts";

/** The two parts that a dataset's publishers made. */
export type Split = "train" | "test";

/** Images of one size, as bytes. */
export interface ImageArray {
  /** Number of images. */
  readonly count: number;
  /** Rows of each image. */
  readonly height: number;
  /** Pixels in a row. */
  readonly width: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: number;
  /** Pixels, (count, height, width, channels), row-major. */
  readonly images: Uint8Array;
}

/** Labelled images of one size. */
export interface ImageDataset extends ImageArray {
  /** The dataset's name, as `loadDataset` takes it. */
  readonly name: string;
  /** Which part this is. */
  readonly split: Split;
  /** Class of each image, (count). */
  readonly labels: Uint8Array;
  /** Class names by label. */
  readonly classNames: readonly string[];
}

/**
 * Reads an IDX file of images: bytes of shape (count, height, width) or (count, height, width, channels).
 *
 * @param bytes The whole file, uncompressed.
 * @param name What error messages call it.
 * @throws {SyntaxError} If the file is not IDX, or is IDX of something else.
 */
export function parseIdxImages(bytes: Uint8Array, name: string): ImageArray {
  const { shape, data } = parseIdx(bytes, name);
  const [count, height, width, channels = 1] = shape;
  if (
    !(data instanceof Uint8Array) || shape.length < 3 || shape.length > 4 ||
    count === undefined || height === undefined || width === undefined ||
    height * width === 0 || (channels !== 1 && channels !== 3)
  ) {
    throw new SyntaxError(
      `Cannot read "${name}" as images: elements are ${data.constructor.name} of shape ` +
        `[${shape.join(", ")}], expected bytes of shape [count, height, width] or ` +
        `[count, height, width, 1 or 3]`,
    );
  }
  return { count, height, width, channels, images: data };
}

/**
 * Reads an IDX file of class labels: bytes of shape (count), each below `classes`.
 *
 * @param bytes The whole file, uncompressed.
 * @param name What error messages call it.
 * @param classes Number of classes.
 * @throws {SyntaxError} If the file is not IDX of labels, or holds a label out of range.
 */
export function parseIdxLabels(bytes: Uint8Array, name: string, classes: number): Uint8Array {
  const { shape, data } = parseIdx(bytes, name);
  if (!(data instanceof Uint8Array) || shape.length !== 1) {
    throw new SyntaxError(
      `Cannot read "${name}" as labels: elements are ${data.constructor.name} of shape ` +
        `[${shape.join(", ")}], expected bytes of shape [count]`,
    );
  }
  const bad = data.findIndex((label) => label >= classes);
  if (bad >= 0) {
    throw new SyntaxError(
      `Cannot read "${name}" as labels: label ${bad} is ${data[bad]}, expected 0 to ${classes - 1}`,
    );
  }
  return data;
}
