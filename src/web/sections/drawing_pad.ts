/// <reference lib="dom" />
/** The canvas that one draws a digit on, by mouse, finger or pen. */

import { toMnistImage } from "../mnist_image.ts";

/** Of the canvas's side: about what a stroke of MNIST's is. */
const PEN_WIDTH = 0.075;

/** Tells of every stroke while it is made. */
export class DrawingPad {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #onStroke: (image: Uint8Array | undefined) => void;

  /** @param onStroke Is given the drawing as MNIST has its digits, at most once a frame; undefined when it is empty. */
  constructor(canvas: HTMLCanvasElement, onStroke: (image: Uint8Array | undefined) => void) {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new TypeError("Cannot draw: this browser gives no canvas");
    this.#canvas = canvas;
    this.#context = context;
    this.#onStroke = onStroke;
    context.lineWidth = canvas.width * PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#fff";
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#follow(event));
  }

  /** Wipes it. */
  clear(): void {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #begin(event: PointerEvent): void {
    this.#canvas.setPointerCapture(event.pointerId);
    const [x, y] = this.#place(event);
    this.#context.beginPath();
    this.#context.moveTo(x, y);
    this.#context.lineTo(x, y);
    this.#context.stroke();
    this.#told();
  }

  #follow(event: PointerEvent): void {
    if (!this.#canvas.hasPointerCapture(event.pointerId)) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      this.#context.lineTo(...this.#place(each));
    }
    this.#context.stroke();
    this.#told();
  }

  #place({ offsetX, offsetY }: PointerEvent): [number, number] {
    const { width, height, clientWidth, clientHeight } = this.#canvas;
    return [offsetX * width / clientWidth, offsetY * height / clientHeight];
  }

  #frame: number | undefined;

  #told(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const { width, height } = this.#canvas;
      const { data } = this.#context.getImageData(0, 0, width, height);
      // Ink is opaque, and nothing else is there.
      const ink = new Uint8ClampedArray(width * height);
      for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i + 3] ?? 0;
      this.#onStroke(toMnistImage(ink, width));
    });
  }
}
