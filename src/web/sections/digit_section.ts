/// <reference lib="dom" />
/** "A digit, pixel by pixel": drawn by hand or of the test set, read while one looks on. */

import type { EngineClient } from "../engine_client.ts";
import { isAbort } from "../engine_client.ts";
import { DrawingPad } from "./drawing_pad.ts";
import { create, find } from "../find.ts";
import { formatBytes, formatTime } from "../format.ts";
import { ImageReading } from "../image_reading.ts";
import type { PageModels } from "../page_models.ts";
import { ReadingView } from "./reading_view.ts";

const SIZE = 28;

/** A reading is shown this slowly, where nobody draws: 784 pixels in a little over 3 seconds. */
const SHOWN_PIXELS_PER_SECOND = 240;

/** The digits of the test set that lie beside the model. */
const DIGITS = 10;

/** Sets up the section, and reads the first image. */
export async function openDigitSection(engine: EngineClient, models: PageModels): Promise<void> {
  const section = new DigitSection(engine, models);
  await section.choose(3);
}

class DigitSection {
  readonly #engine: EngineClient;
  readonly #models: PageModels;
  readonly #view = new ReadingView();
  readonly #pad: DrawingPad;
  readonly #slider = find("digit-moment", HTMLInputElement);
  readonly #play = find("digit-play", HTMLButtonElement);
  readonly #verdict = find("digit-verdict", HTMLElement);
  readonly #facts = find("digit-facts", HTMLElement);
  readonly #choices: HTMLButtonElement[] = [];
  #labels: readonly string[] = [];
  #image: Uint8Array = new Uint8Array(SIZE * SIZE);
  #reading = new ImageReading(SIZE * SIZE, DIGITS);
  /** Ends the reading under way. */
  #controller = new AbortController();
  /** The animation under way. */
  #frame: number | undefined;

  constructor(engine: EngineClient, models: PageModels) {
    this.#engine = engine;
    this.#models = models;
    this.#pad = new DrawingPad(find("digit-pad", HTMLCanvasElement), (image) => {
      this.#mark(undefined);
      if (image !== undefined) void this.#read(image, { isLive: true });
    });
    find("digit-clear", HTMLButtonElement).addEventListener("click", () => this.#pad.clear());
    this.#slider.addEventListener("input", () => {
      this.#pause();
      this.#show(this.#slider.valueAsNumber);
    });
    this.#play.addEventListener("click", () => {
      if (this.#frame === undefined) this.#animate(this.#isAtEnd() ? 0 : this.#moment());
      else this.#pause();
    });
    this.#addChoices();
    models.onChange((slot) => {
      if (slot === "digit") void this.#read(this.#image, { isLive: true });
    });
  }

  /** Reads a digit of the test set. */
  async choose(digit: number): Promise<void> {
    this.#mark(digit);
    this.#pad.clear();
    try {
      const answer = await fetch(digitUrl(digit));
      if (!answer.ok) throw new Error(`Cannot load ${digitUrl(digit)}: ${answer.status}`);
      await this.#read(await greyPixels(await answer.blob()), { isLive: false });
    } catch (error) {
      this.#fail(error);
    }
  }

  #addChoices(): void {
    const list = find("digit-choices", HTMLElement);
    for (let digit = 0; digit < DIGITS; digit++) {
      const button = create("button");
      button.type = "button";
      const picture = create("img");
      picture.src = digitUrl(digit);
      picture.alt = `A ${digit} of MNIST's test set`;
      picture.width = picture.height = SIZE;
      button.append(picture);
      button.addEventListener("click", () => void this.choose(digit));
      list.append(button);
      this.#choices.push(button);
    }
  }

  #mark(chosen: number | undefined): void {
    for (const [digit, button] of this.#choices.entries()) {
      button.setAttribute("aria-pressed", String(digit === chosen));
    }
  }

  /** A live reading is shown as it ends, any other pixel by pixel. */
  async #read(image: Uint8Array, { isLive }: { isLive: boolean }): Promise<void> {
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.#pause();
    this.#image = image;
    try {
      const { stateBytes, labels = [] } = await this.#models.ensure("digit");
      if (signal.aborted) return;
      if (this.#labels.join() !== labels.join()) {
        this.#labels = labels;
        this.#view.setLabels(labels);
      }
      const reading = new ImageReading(image.length, labels.length);
      if (!isLive) {
        this.#reading = reading;
        this.#animate(0);
      }
      const { elapsedMs, reusedRows } = await this.#engine.call("readImage", { pixels: image }, {
        signal,
        onEvent: ({ from, probabilities }) => {
          if (!signal.aborted) reading.add(from, probabilities);
        },
      });
      if (signal.aborted) return;
      this.#reading = reading;
      this.#view.drawCourses(reading);
      if (isLive) this.#show(image.length);
      const kept = reusedRows === 0 ? "" : `, ${reusedRows} of ${SIZE} rows from before`;
      this.#facts.textContent = `State: ${formatBytes(stateBytes)}, after pixel 1 as after pixel ` +
        `${image.length}. All ${image.length} pixels were read in ${formatTime(elapsedMs)}${kept}.`;
    } catch (error) {
      if (!isAbort(error)) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#verdict.textContent = error instanceof Error ? error.message : String(error);
  }

  #moment(): number {
    return this.#slider.valueAsNumber;
  }

  #isAtEnd(): boolean {
    return this.#moment() >= this.#image.length;
  }

  /** Moves on from a moment, as fast as one can watch, and never ahead of the model. */
  #animate(from: number): void {
    this.#pause();
    this.#play.textContent = "Pause";
    const start = performance.now();
    const draw = (now: number) => {
      const wanted = from + Math.floor((now - start) / 1000 * SHOWN_PIXELS_PER_SECOND);
      const seen = Math.max(0, Math.min(wanted, this.#reading.known));
      this.#show(seen);
      if (seen >= this.#image.length) this.#pause();
      else this.#frame = requestAnimationFrame(draw);
    };
    this.#frame = requestAnimationFrame(draw);
  }

  #pause(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#play.textContent = "Play";
  }

  #show(seen: number): void {
    this.#slider.value = String(seen);
    this.#view.show(this.#image, this.#reading, seen);
    const text = this.#describe(seen);
    this.#slider.setAttribute("aria-valuetext", text);
    this.#verdict.textContent = text;
  }

  #describe(seen: number): string {
    const total = this.#image.length;
    if (seen === 0 || seen > this.#reading.known) return `Pixel 0 of ${total}`;
    const index = this.#reading.classAfter(seen);
    const percent = Math.round((this.#reading.after(seen)[index] ?? 0) * 100);
    const decided = this.#reading.decidedAfter;
    const when = decided === undefined || seen < decided ? "" : `, decided at pixel ${decided}`;
    return `Pixel ${seen} of ${total}: a ${this.#labels[index] ?? index} (${percent} %)${when}`;
  }
}

function digitUrl(digit: number): string {
  return new URL(`weights/mnist/digits/${digit}.png`, document.baseURI).href;
}

/** The bytes of a grey image. */
async function greyPixels(file: Blob): Promise<Uint8Array> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  if (context === null) throw new TypeError("Cannot draw: this browser gives no canvas");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] ?? 0);
}
