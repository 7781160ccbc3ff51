/** `infer.ts score --dataset`: how well a model of pixels foresees images. */

import type { Model } from "../../../engine/model.ts";
import { requireScore } from "../../../engine/score.ts";
import type { ImageDataset } from "../../../io/datasets/image_dataset.ts";
import { describeSize } from "../../../io/images/image.ts";
import type { Arguments } from "../../terminal/arguments.ts";
import { compilingLine } from "../compiling_line.ts";
import { formatCount, formatDuration, formatRate } from "../../terminal/format.ts";
import { imageStart, pixelLayout } from "../pixel_image.ts";
import { Progress } from "../../terminal/progress.ts";
import type { Terminal } from "../../terminal/terminal.ts";

/**
 * Scores every image as a sequence of its own, and prints the mean over all pixels.
 *
 * @throws {TypeError} If the model makes no images of that size.
 */
export async function scoreDataset(
  model: Model,
  data: ImageDataset,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  const { config } = model;
  const { name, split, count, width, height, channels, images, labels, classNames } = data;
  const layout = pixelLayout(config);
  if (layout?.width !== width || layout.height !== height || channels !== 1) {
    throw new TypeError(
      `Cannot score the images of "${name}", ${
        describeSize(width, height, channels)
      }: this model ` +
        (layout === undefined
          ? "makes no images"
          : `makes images of ${describeSize(layout.width, layout.height, 1)}`),
    );
  }
  const size = width * height;
  const start = performance.now();
  let nats = 0;
  {
    using progress = new Progress(terminal, { label: "Scoring", total: count, unit: "images" });
    using compiling = compilingLine(model, terminal);
    using session = model.createSession();
    for (let i = 0; i < count; i++) {
      const label = config.labels === undefined ? "" : classNames[labels[i] ?? 0] ?? "";
      const pixels = images.subarray(i * size, (i + 1) * size);
      session.reset();
      // Three figures an id, the first of them its log-probability; that of the id that begins the image is NaN.
      const figures = await session.score([imageStart(label, config), ...pixels]);
      for (let pixel = 1; pixel <= size; pixel++) {
        const logprob = figures[3 * pixel] ?? NaN;
        requireScore(logprob, pixel);
        nats -= logprob;
      }
      compiling[Symbol.dispose]();
      progress.update(i + 1, `${(nats / size / (i + 1)).toFixed(4)} nats a pixel`);
    }
  }
  const elapsedMs = performance.now() - start;
  terminal.writeError(
    `${formatCount(count)} images in ${formatDuration(elapsedMs)}, ` +
      `${formatRate(count, elapsedMs)}/s\n`,
  );
  const scored = count * size;
  const natsPerPixel = nats / scored;
  const bitsPerPixel = natsPerPixel / Math.LN2;
  terminal.write(
    args.has("json")
      ? `${JSON.stringify({ dataset: name, split, scored, natsPerPixel, bitsPerPixel })}\n`
      : `scored pixels ${scored}\nnats per pixel ${natsPerPixel.toFixed(4)}\n` +
        `bits per pixel ${bitsPerPixel.toFixed(4)}\n`,
  );
}
