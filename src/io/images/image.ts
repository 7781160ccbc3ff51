/** Images as the sequence of vectors that a classifier takes, one a step. */

/**
 * How an image becomes a sequence, as a checkpoint's `preprocessing` says it.
 *
 * Pixels are bytes of shape (height, width, channels). A step holds its pixels in that same order.
 */
export interface ImageLayout {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: number;
  /** What one step holds: the whole image, one row, one pixel, or a square patch (rows of patches). */
  readonly step: "image" | "row" | "pixel" | "patch";
  /** Side of a patch in pixels; `"patch"` needs it, and it must divide width and height. */
  readonly patch_size?: number;
  /** Bytes are multiplied by this first. */
  readonly rescale: number;
  /** Then the channel's mean is subtracted ... */
  readonly mean: readonly number[];
  /** ... and the result divided by the channel's standard deviation. */
  readonly std: readonly number[];
}

/** An image's pixels. */
export interface PixelArray {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: number;
  /** (height, width, channels), row-major; a batch of images may follow one another. */
  readonly pixels: Uint8Array;
}

/**
 * Turns pixels into the input of a classifier: ((byte x rescale) - mean[channel]) / std[channel], step after step.
 *
 * @param bytes Pixels, (height, width, channels), of one image or of several back to back.
 * @param width Pixels in a row of the image.
 * @param height Rows of the image.
 * @param channels 1 or 3.
 * @param layout The checkpoint's preprocessing.
 * @returns (T, d_input) of each image, back to back. T x d_input is width x height x channels.
 * @throws {RangeError} If the image's size is not the one that the checkpoint takes.
 *
 * @example Classifying what a canvas or a camera gives
 * ```ts
 * import { imageToInput, loadModel } from "../../../mod.ts";
 *
 * using model = await loadModel("weights/mnist");
 * const layout = model.config.preprocessing;
 * if (layout?.kind === "image") {
 *   const { label } = await model.classify(imageToInput(new Uint8Array(784), 28, 28, 1, layout));
 *   label; // "1", say
 * }
 * ```
 */
export function imageToInput(
  bytes: Uint8Array,
  width: number,
  height: number,
  channels: number,
  layout: ImageLayout,
): Float32Array<ArrayBuffer> {
  if (width !== layout.width || height !== layout.height || channels !== layout.channels) {
    throw new RangeError(
      `Cannot use an image of ${describeSize(width, height, channels)}: this checkpoint takes ` +
        `${describeSize(layout.width, layout.height, layout.channels)}. Resize the image first`,
    );
  }
  const order = pixelOrder(layout);
  const imageSize = width * height * channels;
  if (bytes.length % imageSize !== 0) {
    throw new RangeError(
      `Cannot use ${bytes.length} bytes as images of ${describeSize(width, height, channels)}: ` +
        `each has ${imageSize} bytes`,
    );
  }
  const tables = Array.from({ length: channels }, (_, c) => byteTable(layout, c));
  const input = new Float32Array(bytes.length);
  // Channel by channel, so that the innermost loop is one of typed arrays alone: training reads batches of images here.
  for (const [c, table] of tables.entries()) {
    for (let start = 0; start < bytes.length; start += imageSize) {
      let written = start + c;
      for (let i = 0; i < order.length; i++) {
        input[written] = table[bytes[start + (order[i] ?? 0) * channels + c] ?? 0] ?? 0;
        written += channels;
      }
    }
  }
  return input;
}

/** A byte has 256 values, so each channel's arithmetic is done 256 times, in f64, whatever the image's size. */
function byteTable({ rescale, mean, std }: ImageLayout, channel: number): Float32Array {
  const m = mean[channel], s = std[channel];
  if (m === undefined || s === undefined || !Number.isFinite(m) || !(Math.abs(s) > 0)) {
    throw new RangeError(
      `Cannot normalize channel ${channel}: mean is ${m} and std is ${s}, and each channel needs ` +
        `a finite mean and a std other than zero`,
    );
  }
  return Float32Array.from({ length: 256 }, (_, byte) => (byte * rescale - m) / s);
}

/** Pixel indices (y x width + x) in the order in which the steps take them. */
function pixelOrder(layout: ImageLayout): Uint32Array {
  const { width, height } = layout;
  const order = new Uint32Array(width * height);
  if (layout.step !== "patch") return order.map((_, i) => i);
  const side = patchSize(layout);
  let written = 0;
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      for (let y = top; y < top + side; y++) {
        for (let x = left; x < left + side; x++) order[written++] = y * width + x;
      }
    }
  }
  return order;
}

function patchSize({ width, height, patch_size }: ImageLayout): number {
  if (patch_size === undefined || patch_size < 1 || width % patch_size || height % patch_size) {
    throw new RangeError(
      `Cannot cut an image of ${width} x ${height} into patches: patch_size is ${patch_size}, ` +
        `expected a divisor of both`,
    );
  }
  return patch_size;
}

/** Such as "28 x 28, grey". */
export function describeSize(width: number, height: number, channels: number): string {
  return `${width} x ${height}, ${
    channels === 1 ? "grey" : channels === 3 ? "RGB" : `${channels} channels`
  }`;
}
