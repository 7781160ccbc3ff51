/// <reference lib="dom" />
/** A reading as one sees it: the image as far as it is read, ten bars, and the course of all of them. */

import { create, find } from "../find.ts";
import type { ImageReading } from "../image_reading.ts";

const SIZE = 28;

/** Points of the canvas a pixel. */
const CELL = 10;

/** What is not read yet is drawn this strong. */
const UNREAD = 0.22;

/** As in the page's own colors: the canvas is dark in both schemes. */
const COLORS = { background: "#10201c", cursor: "#ffc44d", decision: "#ff8a5c" };

const SVG = "http://www.w3.org/2000/svg";

/** Draws a reading at one moment. */
export class ReadingView {
  readonly #canvas = find("digit-seen", HTMLCanvasElement);
  readonly #context = this.#canvas.getContext("2d");
  readonly #bars: { readonly item: HTMLLIElement; readonly percent: HTMLElement }[] = [];
  readonly #courses: SVGElement[] = [];
  readonly #cursor = document.createElementNS(SVG, "line");
  readonly #decision = document.createElementNS(SVG, "line");

  /** Makes a bar and a line for each class. */
  setLabels(labels: readonly string[]): void {
    const bars = find("digit-bars", HTMLOListElement);
    const chart = document.getElementById("digit-chart");
    bars.replaceChildren();
    chart?.replaceChildren();
    this.#bars.length = this.#courses.length = 0;
    for (const label of labels) {
      const item = create("li");
      const percent = create("span", { className: "percent", text: "0 %" });
      item.append(
        create("span", { className: "label", text: label }),
        create("span", { className: "bar" }),
        percent,
      );
      bars.append(item);
      this.#bars.push({ item, percent });
      const course = document.createElementNS(SVG, "polyline");
      chart?.append(course);
      this.#courses.push(course);
    }
    this.#cursor.setAttribute("class", "cursor");
    this.#decision.setAttribute("class", "decision");
    chart?.append(this.#decision, this.#cursor);
  }

  /** Shows the image, and what the model says after `seen` pixels. */
  show(image: Uint8Array, reading: ImageReading, seen: number): void {
    const decided = reading.decidedAfter;
    this.#drawImage(image, seen, decided);
    const probabilities = seen > 0 && seen <= reading.known ? reading.after(seen) : undefined;
    const likeliest = probabilities === undefined ? -1 : reading.classAfter(seen);
    for (const [index, { item, percent }] of this.#bars.entries()) {
      const probability = probabilities?.[index] ?? 0;
      item.style.setProperty("--share", String(probability));
      item.classList.toggle("likeliest", index === likeliest);
      percent.textContent = `${Math.round(probability * 100)} %`;
    }
    place(this.#cursor, seen);
    place(this.#decision, decided ?? -10);
  }

  /** Draws the courses of all classes as far as they are known. */
  drawCourses(reading: ImageReading): void {
    const final = reading.known > 0 ? reading.classAfter(reading.known) : -1;
    for (const [index, line] of this.#courses.entries()) {
      const points = [...reading.course(index)].map((p, i) =>
        `${i + 1},${(97 - 94 * p).toFixed(1)}`
      );
      line.setAttribute("points", points.join(" "));
      line.setAttribute("class", index === final ? "course final" : "course");
    }
  }

  #drawImage(image: Uint8Array, seen: number, decided: number | undefined): void {
    const context = this.#context;
    if (context === null) return;
    context.fillStyle = COLORS.background;
    context.fillRect(0, 0, SIZE * CELL, SIZE * CELL);
    for (const [i, value] of image.entries()) {
      const strength = value / 255 * (i < seen ? 1 : UNREAD);
      if (strength === 0) continue;
      context.fillStyle = `rgb(255 255 255 / ${strength})`;
      context.fillRect(i % SIZE * CELL, Math.floor(i / SIZE) * CELL, CELL, CELL);
    }
    context.lineWidth = 2;
    const mark = (pixel: number, color: string) => {
      context.strokeStyle = color;
      const [x, y] = [pixel % SIZE * CELL, Math.floor(pixel / SIZE) * CELL];
      context.strokeRect(x + 1, y + 1, CELL - 2, CELL - 2);
    };
    if (decided !== undefined) mark(decided - 1, COLORS.decision);
    if (seen > 0 && seen < image.length) mark(seen - 1, COLORS.cursor);
  }
}

function place(line: SVGElement, x: number): void {
  for (const name of ["x1", "x2"]) line.setAttribute(name, String(x));
  line.setAttribute("y1", "0");
  line.setAttribute("y2", "100");
}
