/// <reference lib="dom" />
/** "Your own text": a small model of it, trained while one looks on. */

import type { TrainingEvent } from "../calls.ts";
import { type EngineClient, isAbort } from "../engine_client.ts";
import { find } from "../find.ts";
import { formatCount } from "../format.ts";
import type { PageModels } from "../page_models.ts";
import { saveFile } from "../save_file.ts";

/** Of the chart, as in its viewBox. */
const WIDTH = 784, HEIGHT = 100;

/** Sets up the section. */
export function openTrainingSection(engine: EngineClient, models: PageModels): void {
  new TrainingSection(engine, models);
}

/** A model that was trained: its files, and the same as a zip. */
interface Trained {
  readonly files: readonly File[];
  readonly zip: Uint8Array<ArrayBuffer>;
}

class TrainingSection {
  readonly #engine: EngineClient;
  readonly #models: PageModels;
  readonly #status = find("training-status", HTMLElement);
  readonly #start = find("training-start", HTMLButtonElement);
  readonly #stop = find("training-stop", HTMLButtonElement);
  readonly #results = [
    find("training-use", HTMLButtonElement),
    find("training-save", HTMLButtonElement),
  ];
  readonly #lines = [...document.querySelectorAll("#training-chart polyline")];
  #controller: AbortController | undefined;
  #trained: Trained | undefined;
  /** Losses by step, of training and of what was kept apart. */
  #losses: readonly (readonly [step: number, loss: number][])[] = [];
  #device = "";

  constructor(engine: EngineClient, models: PageModels) {
    this.#engine = engine;
    this.#models = models;
    find("training-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#train();
    });
    this.#stop.addEventListener("click", () => this.#controller?.abort());
    const [use, save] = this.#results;
    use?.addEventListener("click", () => void this.#use());
    save?.addEventListener("click", () => {
      if (this.#trained !== undefined) {
        saveFile("my-text.zip", this.#trained.zip, "application/zip");
      }
    });
  }

  async #train(): Promise<void> {
    const { signal } = this.#controller = new AbortController();
    const steps = find("training-steps", HTMLInputElement).valueAsNumber;
    const training: [number, number][] = [], validation: [number, number][] = [];
    this.#losses = [training, validation];
    this.#trained = undefined;
    this.#setRunning(true);
    for (const id of ["training-chart", "training-legend"]) {
      document.getElementById(id)?.removeAttribute("hidden");
    }
    this.#status.textContent = "Preparing …";
    const follow = (event: TrainingEvent) => {
      if ("device" in event) {
        this.#device = `${event.summary}, on ${event.device}`;
        return;
      }
      training.push([event.step, event.loss]);
      if (event.validation !== undefined) validation.push([event.step, event.validation]);
      this.#draw(steps);
      const measured = validation.at(-1)?.[1];
      this.#status.textContent = `Step ${event.step} of ${steps}: loss ${event.loss.toFixed(3)}` +
        (measured === undefined ? "" : `, ${measured.toFixed(3)} of what was kept apart`) +
        `; ${formatCount(Math.round(event.tokensPerSecond))} tokens/s. ${this.#device}.`;
    };
    try {
      this.#trained = await this.#engine.call("trainText", {
        text: find("training-text", HTMLTextAreaElement).value,
        steps,
        seed: find("training-seed", HTMLInputElement).valueAsNumber,
        backend: this.#models.backend,
      }, { signal, onEvent: follow });
    } catch (error) {
      this.#status.textContent = isAbort(error)
        ? "Stopped before the first measurement: there is no model yet."
        : error instanceof Error
        ? error.message
        : String(error);
    } finally {
      this.#setRunning(false);
    }
  }

  #setRunning(isRunning: boolean): void {
    this.#start.disabled = isRunning;
    this.#stop.disabled = !isRunning;
    for (const button of this.#results) button.disabled = this.#trained === undefined;
  }

  #draw(steps: number): void {
    const most = Math.max(...this.#losses.flatMap((own) => own.map(([, loss]) => loss)));
    for (const [index, own] of this.#losses.entries()) {
      const points = own.map(([step, loss]) =>
        `${(step / steps * WIDTH).toFixed(1)},${(HEIGHT - loss / most * (HEIGHT - 4)).toFixed(1)}`
      );
      this.#lines[index]?.setAttribute("points", points.join(" "));
    }
  }

  async #use(): Promise<void> {
    if (this.#trained === undefined) return;
    const from = { source: this.#trained.files, name: "your text's model", choice: {} };
    try {
      await this.#models.use("text", from, (text) => this.#status.textContent = text);
      this.#status.textContent = "Loaded: write with it above.";
      const text = find("training-text", HTMLTextAreaElement).value;
      find("text-prompt", HTMLTextAreaElement).value = text.slice(0, text.search(/\s|$/) + 1);
      document.getElementById("text")?.scrollIntoView();
    } catch {
      // The models' own line has said what is wrong.
    }
  }
}
