/** The demonstration's first half: a digit goes into a classifier step by step. */

import { type Classification, classification } from "../../../engine/classify.ts";
import type { Model } from "../../../engine/model.ts";
import { eventLoopTurn } from "../../../io/event_loop_turn.ts";
import { imageToInput, type PixelArray } from "../../../io/images/image.ts";
import { inputWidth } from "../../../model/ends.ts";
import { imagePreprocessing } from "../classify_input.ts";
import { compilingLine } from "../compiling_line.ts";
import { drawImage } from "../../terminal/draw_image.ts";
import {
  drawProbabilities,
  listProbabilities,
  percent,
} from "../../terminal/draw_probabilities.ts";
import { formatBytes, formatRate } from "../../terminal/format.ts";
import { LiveBlock } from "../../terminal/live_block.ts";
import type { ScreenSize, Terminal } from "../../terminal/terminal.ts";

/** What there is to classify. */
export interface Digit {
  /** A grey image of the model's size. */
  readonly image: PixelArray;
  /** The class that it is of. */
  readonly label: string;
}

/** On a terminal a digit takes this long at least: the eye should see its pixels come. */
const DRAWING_MS = 3000;

/** Half the rate of the usual screen. */
const FRAME_MS = 33;

/** Lines of probabilities where nothing can be drawn twice. */
const PLAIN_LINES = 7;

/** Columns between the image and the bars. */
const GAP = 3;

/** Bars shorter than this say nothing, and longer ones say no more. */
const BARS = { min: 16, max: 48 };

/** Lines of the screen that are not the image's: the title above, the verdict and the prompt below. */
const OTHER_LINES = 6;

/** What the classifier says after a step. */
interface Reading {
  /** Pixels so far. */
  readonly seen: number;
  readonly result: Classification;
  /** What the last step took. */
  readonly stepMs: number;
}

/**
 * Streams the digit into the classifier and shows it: drawn as it comes where stdout is a terminal of enough size, else
 * the whole image once and a few lines of probabilities.
 *
 * @throws {unknown} The signal's reason, if it is aborted; the cursor is shown again by then.
 */
export async function streamDigit(
  model: Model,
  { image, label }: Digit,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const readings = readPixels(model, image, terminal, signal);
  const screen = terminal.screen();
  const { last, first, laterMs } = screen !== undefined && fits(screen, image)
    ? await drawReadings(readings, model, image, terminal)
    : await listReadings(readings, model, image, terminal);
  const { result, seen } = last;
  const verdict = result.label === label
    ? `It is a ${label}, and the model says so`
    : `It is a ${label}, and the model says ${result.label}`;
  terminal.write(
    `${verdict} (${percent(result.probabilities[result.index] ?? 0)}). ` +
      `${seen} pixels at ${formatRate(seen - first, laterMs)}/s, ` +
      `${formatBytes(model.stateBytes)} of state after each\n`,
  );
}

/** Feeds one step after another: a pixel, or a row of them. */
async function* readPixels(
  model: Model,
  { pixels, width, height, channels }: PixelArray,
  terminal: Terminal,
  signal: AbortSignal,
): AsyncGenerator<Reading> {
  const layout = imagePreprocessing(model.config, "a digit");
  const input = imageToInput(pixels, width, height, channels, layout);
  const size = inputWidth(model.config);
  using session = model.createSession();
  using compiling = compilingLine(model, terminal);
  for (let seen = size; seen <= input.length; seen += size) {
    signal.throwIfAborted();
    const start = performance.now();
    const result = classification(
      await session.step(input.subarray(seen - size, seen)),
      model.labels,
    );
    compiling[Symbol.dispose]();
    yield { seen, result, stepMs: performance.now() - start };
    await eventLoopTurn();
  }
}

/** What is known at the end. */
interface Summary {
  readonly last: Reading;
  /** Pixels of the first step, in which the kernels are compiled. */
  readonly first: number;
  /** What the steps after it took, without what was waited to draw them. */
  readonly laterMs: number;
}

/** Hands out every reading, and sums them up. */
async function follow(
  readings: AsyncIterable<Reading>,
  show: (reading: Reading) => void | Promise<void>,
): Promise<Summary> {
  let last: Reading | undefined, first = 0, laterMs = 0;
  for await (const reading of readings) {
    if (last === undefined) first = reading.seen;
    else laterMs += reading.stepMs;
    last = reading;
    await show(reading);
  }
  if (last === undefined) throw new TypeError("Cannot classify: there is no input");
  return { last, first, laterMs };
}

async function drawReadings(
  readings: AsyncIterable<Reading>,
  { labels }: Model,
  image: PixelArray,
  terminal: Terminal,
): Promise<Summary> {
  const pixels = image.width * image.height;
  using block = new LiveBlock(terminal);
  const start = performance.now();
  let drawnAt = -Infinity;
  return await follow(readings, async ({ seen, result }) => {
    const now = performance.now();
    // The terminal may have become another size in the meantime.
    const screen = terminal.screen();
    if (screen && fits(screen, image) && (now - drawnAt >= FRAME_MS || seen === pixels)) {
      drawnAt = now;
      block.draw(frame(image, seen, result, labels, screen, terminal.colors));
    }
    const early = start + seen / pixels * DRAWING_MS - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  });
}

/** The image at the left; at the right how far it is, and the probabilities. */
function frame(
  image: PixelArray,
  seen: number,
  result: Classification,
  labels: readonly string[] | undefined,
  { columns }: ScreenSize,
  colors: boolean,
): string[] {
  const drawn = drawImage(image, seen, colors);
  const width = Math.min(columns - image.width - GAP - 1, BARS.max);
  const beside = [
    "",
    `pixel ${seen} of ${image.width * image.height}`,
    "",
    ...drawProbabilities(result, labels, width, colors),
  ];
  return drawn.map((line, i) => `${line}${" ".repeat(GAP)}${beside[i] ?? ""}`.trimEnd());
}

/** Whether the image and bars of some length have room. */
function fits({ columns, rows }: ScreenSize, { width, height }: PixelArray): boolean {
  return columns > width + GAP + BARS.min && rows >= height / 2 + OTHER_LINES;
}

async function listReadings(
  readings: AsyncIterable<Reading>,
  { labels }: Model,
  image: PixelArray,
  terminal: Terminal,
): Promise<Summary> {
  const pixels = image.width * image.height;
  const lines = drawImage(image, pixels, false).map((line) => line.trimEnd());
  const isDrawn = (line: string) => line !== "";
  const drawn = lines.slice(lines.findIndex(isDrawn), lines.findLastIndex(isDrawn) + 1);
  terminal.write(`${drawn.join("\n")}\n\n`);
  const every = Math.ceil(pixels / PLAIN_LINES);
  return await follow(readings, ({ seen, result }) => {
    if (seen % every !== 0 && seen !== pixels) return;
    terminal.write(`pixel ${String(seen).padStart(3)}   ${listProbabilities(result, labels, 3)}\n`);
  });
}
